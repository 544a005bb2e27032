//! Functions that no data need and that attacks are made of.

/// Whether a file that names this function is refused as a whole. Nothing in a file is executed in any case: this
/// is so that nobody hands the file on to a program that does.
pub(super) fn is_attack(module: &str, name: &str) -> bool {
    const STARTS: [&str; 8] = [
        "system",
        "popen",
        "exec",
        "spawn",
        "posix_spawn",
        "fork",
        "remove",
        "unlink",
    ];
    match module {
        "os" | "posix" | "nt" => STARTS.iter().any(|start| name.starts_with(start)),
        "subprocess" | "commands" | "pty" | "runpy" | "socket" | "shutil" | "ctypes" => true,
        "builtins" | "__builtin__" => matches!(
            name,
            "eval" | "exec" | "execfile" | "compile" | "open" | "__import__"
        ),
        "importlib" => name == "import_module",
        "torch" | "pickle" | "_pickle" | "cPickle" => matches!(name, "load" | "loads"),
        _ => false,
    }
}
