import Adapters
import ArgumentParser

/// The option that splits the tasks into groups with a backbone each.
struct GroupOptions: ParsableArguments {
    @Option(
        name: .customLong("groups"),
        help: .init(
            "TASKS",
            """
            Merge these groups of tasks into a backbone each, all in one bundle, as in a,b+c,d: every task is in \
            exactly one group.
            """))
    var argument: TextArgument?

    /// The groups as they were given.
    var groups: String? { argument?.text }

    /// The names of each group's tasks; all in one without the option.
    ///
    /// - Throws: `ValidationError` naming the task that is unknown, appears twice or is missing.
    func names(among tasks: [String]) throws -> [[String]] {
        guard let groups else { return [tasks] }
        if let name = tasks.first(where: { $0.contains("+") }) {
            throw ValidationError("--groups: the name \"\(name)\" holds a +, which separates groups.")
        }
        let names = groups.split(separator: "+", omittingEmptySubsequences: false).map { group in
            group.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        if names.contains(where: { $0.contains("") }) {
            throw ValidationError("--groups \(groups): expected names of tasks, as in a,b+c,d.")
        }
        do { try BundleGroup.checkGroups(names, of: tasks) } catch {
            throw ValidationError("--\(error).")
        }
        return names
    }
}
