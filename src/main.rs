//! The `klog` binary: hands the process over to the command line and returns its exit code.

fn main() -> std::process::ExitCode {
    klog::cli::main()
}
