//! The precedence rules, a case each.

use super::*;

fn env() -> Environment {
    Environment { home: Some("/home/u".into()), ..Environment::default() }
}

fn with_file(text: &str) -> (tempfile::TempDir, Environment) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("klog");
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join("config.toml"), text).unwrap();
    let env = Environment { config_home: Some(folder.path().into()), ..env() };
    (folder, env)
}

fn get(flags: &Flags, env: &Environment) -> Settings {
    resolve(flags, env, false).unwrap()
}

fn broker(settings: &Settings) -> (String, String) {
    let all: Vec<String> = settings.broker.value.iter().map(ToString::to_string).collect();
    (all.join(","), settings.broker.origin.to_string())
}

fn said(broker: &str, origin: &str) -> (String, String) {
    (broker.into(), origin.into())
}

#[test]
fn the_data_folder_goes_flag_variable_xdg_home_root() {
    let mut env = env();
    assert_eq!(get(&Flags::default(), &env).data.value, Path::new("/home/u/.local/share/klog"));
    env.root = true;
    assert_eq!(get(&Flags::default(), &env).data.value, Path::new("/var/lib/klog"));
    env.data_home = Some("/xdg".into());
    assert_eq!(get(&Flags::default(), &env).data.value, Path::new("/xdg/klog"));
    env.data = Some("/v".into());
    assert_eq!(get(&Flags::default(), &env).data.value, Path::new("/v"));
    env.data = Some("".into());
    assert_eq!(get(&Flags::default(), &env).data.value, Path::new("/xdg/klog"), "empty is not set");
    let flags = Flags { data: Some("/f".into()), ..Flags::default() };
    assert_eq!(get(&flags, &env).data, Setting::new("/f".into(), Origin::Flag("--data")));
    let nowhere = Environment::default();
    assert!(matches!(resolve(&Flags::default(), &nowhere, false), Err(ConfigError::NoHome)));
}

#[test]
fn the_broker_goes_flag_variable_profile_default() {
    let (folder, mut env) =
        with_file("profile = \"w\"\n[profiles.w]\nbroker = \"p:1\"\n[profiles.x]\nbroker = \"x:1\"");
    let file = folder.path().join("klog/config.toml");
    let none = Flags::default();
    assert_eq!(broker(&get(&none, &env)), said("p:1", &format!("{}:3", file.display())));
    let profile = Flags { profile: Some("x".into()), ..Flags::default() };
    assert_eq!(broker(&get(&profile, &env)).0, "x:1");
    env.profile = Some("x".into());
    assert_eq!(broker(&get(&none, &env)).0, "x:1");
    env.broker = Some("v:1".into());
    assert_eq!(broker(&get(&none, &env)), said("v:1", "variable KLOG_BROKER"));
    let flag = Flags { broker: Some("f:1,g:2".into()), data: Some("/d".into()), ..Flags::default() };
    assert_eq!(broker(&get(&flag, &env)), said("f:1,g:2", "flag -b"));
    let data = Flags { data: Some("/d".into()), ..Flags::default() };
    assert_eq!(broker(&get(&data, &env)), said("unix:/d/klog.sock", "flag --data"));
    assert!(get(&data, &env).is_default_broker);
    assert!(!get(&none, &env).is_default_broker);
    env.broker = None;
    env.profile = None;
    env.data = Some("/v".into());
    assert_eq!(broker(&get(&none, &env)).0, "p:1", "KLOG_DATA does not beat the profile");
}

#[test]
fn starting_a_daemon_can_be_forbidden() {
    let (_folder, mut env) = with_file("autostart = false");
    let none = Flags::default();
    assert!(!get(&none, &env).autostart.value);
    env.autostart = Some("1".into());
    assert_eq!(get(&none, &env).autostart, Setting::new(true, Origin::Variable("KLOG_AUTOSTART")));
    env.autostart = Some("perhaps".into());
    assert!(matches!(resolve(&none, &env, false), Err(ConfigError::NotABool { .. })));
    let flag = Flags { no_autostart: true, ..Flags::default() };
    assert_eq!(get(&flag, &env).autostart, Setting::new(false, Origin::Flag("--no-autostart")));
}

#[test]
fn a_profile_that_is_not_there_is_an_error() {
    let (_folder, env) = with_file("[profiles.a]\n[profiles.b]\n");
    let flags = Flags { profile: Some("c".into()), ..Flags::default() };
    let error = resolve(&flags, &env, false).unwrap_err();
    assert!(error.to_string().starts_with("no profile \"c\" (from flag --profile) in "), "{error}");
    assert_eq!(error.next(), "the file has: a, b");
}

#[test]
fn a_named_file_must_exist() {
    let flags = Flags { config: Some("/nowhere/x.toml".into()), ..Flags::default() };
    assert!(matches!(resolve(&flags, &env(), false), Err(ConfigError::Read { .. })));
    let variable = Environment { config: Some("/nowhere/x.toml".into()), ..env() };
    assert!(matches!(resolve(&Flags::default(), &variable, false), Err(ConfigError::Read { .. })));
}

#[test]
fn properties_are_kafkas_and_the_flag_wins() {
    let (folder, env) =
        with_file("profile = \"w\"\n[profiles.w]\n\"request.timeout.ms\" = 1000\n\"client.id\" = \"p\"");
    let flags = Flags { properties: vec!["request.timeout.ms=2000".into()], ..Flags::default() };
    let settings = get(&flags, &env);
    assert_eq!(settings.client.request_timeout, std::time::Duration::from_secs(2));
    assert_eq!(settings.client.client_id, "p");
    let flags = Flags { properties: vec!["nonsense".into()], ..Flags::default() };
    assert_eq!(resolve(&flags, &env, false).unwrap_err().to_string(), "-X nonsense: found no '='");
    let flags = Flags { properties: vec!["nonsense=1".into()], ..Flags::default() };
    let error = resolve(&flags, &env, false).unwrap_err().to_string();
    assert!(error.contains("nonsense") && error.ends_with("(from flag -X)"), "{error}");
    drop(folder);
}

#[test]
fn a_properties_file_is_for_the_client_or_for_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.properties");
    std::fs::write(&path, "bootstrap.servers=k:1\n").unwrap();
    let flags = Flags { config: Some(path.clone()), ..Flags::default() };
    assert_eq!(broker(&get(&flags, &env())).0, "k:1");
    std::fs::write(&path, "\nnum.partitions=3\n").unwrap();
    let settings = resolve(&flags, &env(), true).unwrap();
    assert_eq!(settings.daemon[0].0, "num.partitions");
    assert_eq!(settings.daemon[0].1.origin.to_string(), format!("{}:2", path.display()));
    assert!(settings.is_default_broker);
}

#[test]
fn kafkas_log_dirs_is_the_daemons_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.properties");
    std::fs::write(&path, "log.dir=/one\nlog.dirs=/two\n").unwrap();
    let mut flags = Flags { config: Some(path.clone()), ..Flags::default() };
    let data = |flags: &Flags, env: &Environment| resolve(flags, env, true).unwrap().data.value;
    assert_eq!(data(&flags, &env()), Path::new("/two"));
    let variable = Environment { data: Some("/v".into()), ..env() };
    assert_eq!(data(&flags, &variable), Path::new("/v"));
    flags.data = Some("/f".into());
    assert_eq!(data(&flags, &env()), Path::new("/f"));
    flags.data = None;
    std::fs::write(&path, "log.dirs=/a,/b\n").unwrap();
    let error = resolve(&flags, &env(), true).unwrap_err().to_string();
    assert!(error.starts_with("log.dirs=/a,/b (from "), "{error}");
}
