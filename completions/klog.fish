complete --keep-order --exclusive --command klog --arguments "(COMPLETE=fish klog -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
