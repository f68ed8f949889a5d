import Glibc

/// Finds arguments that the parser would take for a request for help, though they are names of files.
///
/// The parser looks for `-h` in everything that begins with one dash, and prints the help to stdout with exit code 0:
/// with `label * > labels.csv` and a file `-dash.jpg` the table would hold the help.
enum HelpFlag {
    /// What is wrong with the first such argument; nil without any.
    static func mistake(in arguments: [String]) -> String? {
        for argument in arguments.prefix(while: { $0 != "--" }) where argument.hasPrefix("-") {
            if !argument.hasPrefix("--"), argument.count > 2, argument.contains("h") {
                return
                    "Unknown option '\(argument)'. A file whose name begins with a dash is given as './\(argument)', "
                    + "or after '--'."
            }
            if ["-h", "--help", "--version"].contains(argument), access(argument, F_OK) == 0 {
                return "There is a file '\(argument)' here: it is given as './\(argument)', or after '--'."
            }
        }
        return nil
    }
}
