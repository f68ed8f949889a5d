import Adapters
import ArgumentParser
import Files
import VisionTransformers
import Workflows

/// The options about the project file. They are declared for help, completion and the parser: `ProjectArguments` reads
/// them before the parser does.
struct ProjectOptions: ParsableArguments {
    @Option(
        name: .customLong("project"),
        help: .init(
            "FILE",
            "Take from FILE what no option gives (default: mergevit.json in the current folder, if there is one)."))
    var file: TextArgument?

    @Flag(name: .customLong("no-project"), help: "Read no project file.")
    var isIgnored = false

    @Option(help: .init("LIST", "Use only these tasks of the project file, separated by commas."))
    var tasks: TextArgument?
}

/// Puts what a project file says among the arguments of a command, as the options that it stands for. Nothing else in
/// the command knows of projects; docs/project-file.md has the rules.
///
/// An option that is given is never added to: its values replace all that the file would give by it.
struct ProjectArguments {
    /// The commands that read a project file.
    static let commands = ["train", "check", "merge", "add", "fit", "evaluate", "study", "quantize"]

    /// The arguments that take the place of the given ones.
    private(set) var arguments: [String]
    /// Which file is used, and for what; nil if none is.
    private(set) var notice: String?

    private let command: String
    private let given: GivenOptions
    private let project: ProjectFile
    private var tasks: [ProjectFile.Task] = []
    private var added: [(option: String, value: String)] = []

    /// The arguments with what the project file says, if there is one.
    ///
    /// - Throws: `ValidationError`, and errors of the file naming what is wrong.
    static func expanded(_ arguments: [String]) throws -> (arguments: [String], notice: String?) {
        guard let command = arguments.first, commands.contains(command) else { return (arguments, nil) }
        let given = GivenOptions(arguments.dropFirst())
        guard !given.has("-h", "--help", "--version") else { return (arguments, nil) }
        guard let path = try path(given) else { return (arguments, nil) }
        var expansion = try Self(command, arguments, given, ProjectFile(contentsOf: path))
        try expansion.expand()
        return (expansion.arguments, expansion.notice)
    }

    /// The project file that is read; nil for none.
    private static func path(_ given: GivenOptions) throws -> String? {
        let isIgnored = given.has("--no-project")
        if given.has("--project") {
            guard !isIgnored else { throw ValidationError("--project and --no-project: give one.") }
            guard let path = given.value(of: "--project") else { return nil }
            try RawArguments.checkText([path])
            return path
        }
        if !isIgnored, case .success = FileStatus.of(BytePath(ProjectFile.name)) { return ProjectFile.name }
        guard !given.has("--tasks") else {
            throw ValidationError("--tasks chooses tasks of a project file, and there is none: give --project FILE.")
        }
        return nil
    }

    private init(
        _ command: String, _ arguments: [String], _ given: GivenOptions, _ project: ProjectFile
    ) throws {
        (self.command, self.arguments, self.given, self.project) = (command, arguments, given, project)
    }

    private mutating func expand() throws {
        // A recipe says what is merged.
        guard command != "merge" || !given.has("--recipe") else { return }
        let absent = try chooseTasks()
        switch command {
        case "train": try train()
        case "check": try addBase(); try addAdapters()
        case "merge":
            try addBase()
            guard !given.has("--base-alone") else { break }
            try addAdapters()
            if mergeUsesImages { try addCalibration() }
        case "add": try addAdapters(); try addCalibration(labelled: hasStreams)
        case "fit":
            try addRequired("--images", "calibration or data") { task in
                let folders = task.calibration.filter { !ProjectFile.isDrawn($0) }
                return folders.isEmpty ? [task.data].compactMap(\.self) : folders
            }
        case "evaluate":
            if !given.has("--bundle", "--predictions", "--compare") { try addBase(); try addAdapters() }
            try addRequired("--data", "data") { [$0.data].compactMap(\.self) }
        case "study":
            try addBase()
            try addRequired("--data", "data") { [$0.data].compactMap(\.self) }
            add("--adapter", \.adapter)
            add("--head-alone", \.headAlone)
        default: try addCalibration(drawn: false)
        }
        guard !added.isEmpty else { return }
        arguments.insert(contentsOf: added.map(Self.argument), at: 1)
        describe(absent)
    }

    // MARK: Tasks

    /// Chooses the tasks that the options name, or those that the bundle has (for `add`: those that it has not).
    ///
    /// - Returns: the tasks that are left out because of the bundle.
    private mutating func chooseTasks() throws -> [String] {
        tasks = project.tasks
        if let list = given.value(of: "--tasks") {
            let names = list.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            tasks = try project.tasks(named: names)
        }
        // With a bundle, evaluate's --adapter says where files of its recipe are.
        let isRecipe = command == "evaluate" && given.has("--bundle")
        let named = ((isRecipe ? [] : ["--adapter"]) + ["--data", "--images"]).flatMap(given.values(of:)).compactMap {
            value in value.firstIndex(of: "=").map { String(value[..<$0]) }
        }
        guard named.isEmpty else {
            tasks.removeAll { !named.contains($0.name) }
            return []
        }
        guard !given.has("--tasks"), let bundle = given.value(of: "--bundle"),
            let known = try? JSON(contentsOf: "\(bundle)/bundle.json").objectValue?["tasks"]?.arrayValue
        else { return [] }
        let names = known.compactMap { $0.objectValue?["name"]?.stringValue }
        let left = tasks.filter { names.contains($0.name) == (command == "add") }.map(\.name)
        tasks.removeAll { left.contains($0.name) }
        if tasks.isEmpty, !left.isEmpty {
            throw ValidationError(
                "\(project.path): \(bundle) has \(command == "add" ? "all" : "none") of its tasks "
                    + "(\(left.joined(separator: ", "))); choose others with --tasks, or go without it: --no-project.")
        }
        return left
    }

    // MARK: Options

    private mutating func addBase() throws {
        guard !given.has("--base"), let base = project.base else { return }
        added.append(("--base", base))
    }

    /// The adapters, with what they lack. Adapters that are given come with their own.
    private mutating func addAdapters() throws {
        guard !given.has("--adapter") else { return }
        try addRequired("--adapter", "adapter") { [$0.adapter].compactMap(\.self) }
        add("--head", \.head)
        add("--labels", \.labels)
        add("--activation", \.activation?.rawValue)
    }

    /// The unlabelled images of the tasks, or else their labelled ones, and those for all tasks.
    private mutating func addCalibration(drawn: Bool = true, labelled: Bool = true) throws {
        guard !given.has("--calibration") else { return }
        for task in tasks {
            let images = task.calibration.filter { drawn || !ProjectFile.isDrawn($0) }
            for place in images.isEmpty && labelled ? [task.data].compactMap(\.self) : images {
                added.append(("--calibration", "\(task.name)=\(place)"))
            }
        }
        // A bundle without streams has a use for the images of the tasks alone.
        guard command != "add" || labelled else { return }
        for place in project.calibration where drawn || !ProjectFile.isDrawn(place) {
            // What has a = before its first slash would name a task.
            added.append(("--calibration", place.prefix { $0 != "/" }.contains("=") ? "./\(place)" : place))
        }
    }

    /// What `train` takes: one task, and where its adapter belongs.
    private mutating func train() throws {
        try addBase()
        if !given.has("--data") {
            guard tasks.count == 1 else {
                let names = tasks.map(\.name).joined(separator: ", ")
                throw ValidationError("train takes one task of \(project.path): --tasks NAME, one of \(names).")
            }
            try addRequired("--data", "data") { [$0.data].compactMap(\.self) }
        }
        guard !given.has("-o", "--output"), let output = tasks.first?.adapter else { return }
        added.append(("--output", output))
    }

    /// Adds an option for each task that has a value for it, unless the option is given.
    private mutating func add(_ option: String, _ value: (ProjectFile.Task) -> String?) {
        guard !given.has(option) else { return }
        for task in tasks {
            if let value = value(task) { added.append((option, "\(task.name)=\(value)")) }
        }
    }

    /// The same for values that every task must have.
    private mutating func addRequired(
        _ option: String, _ keys: String, _ values: (ProjectFile.Task) -> [String]
    ) throws {
        guard !given.has(option) else { return }
        for task in tasks {
            let values = values(task)
            guard !values.isEmpty else {
                throw ValidationError(
                    "\(project.path): the task \"\(task.name)\" has no \(keys), which \(command) needs: add it, give "
                        + "\(option), or choose other tasks with --tasks.")
            }
            added += values.map { (option, "\(task.name)=\($0)") }
        }
    }

    /// Whether a merge has a use for calibration images: an option that takes some, or fits of tasks that have images
    /// for that.
    private var mergeUsesImages: Bool {
        let images = tasks.flatMap(\.calibration) + project.calibration
        let makesFits = !given.has("--no-fit") && given.value(of: "--as") != "adapter"
        if makesFits, !images.allSatisfy(ProjectFile.isDrawn) { return true }
        if given.has("--align", "--tune", "--tune-all", "--max-drop", "--streams") { return true }
        let methods = [given.value(of: "--method"), given.value(of: "--from")].compactMap(\.self)
        return methods.contains { name in
            name == DistillationSettings.name || MergeMethod.all.contains { $0.name == name && $0.usesImages }
        }
    }

    /// Whether the tasks of the bundle that is added to have streams, which are fitted on images.
    private var hasStreams: Bool {
        guard let bundle = given.value(of: "--bundle") else { return false }
        return (try? JSON(contentsOf: "\(bundle)/bundle.json"))?.objectValue?["streams"]?.boolValue ?? false
    }

    // MARK: Words

    /// An option as one word, so that a value may begin with a dash.
    private static func argument(_ option: String, _ value: String) -> String {
        "\(option)=\(RawArguments.text(of: Array(value.utf8)))"
    }

    private mutating func describe(_ absent: [String]) {
        var options: [String] = []
        for item in added where !options.contains(item.option) { options.append(item.option) }
        var text = "project \(project.path): \(options.joined(separator: ", "))"
        let used = tasks.map(\.name).filter { name in added.contains { $0.value.hasPrefix("\(name)=") } }
        if !used.isEmpty { text += " of \(used.joined(separator: ", "))" }
        if !absent.isEmpty {
            let place = command == "add" ? "in the bundle already" : "not in the bundle"
            text += "; \(place): \(absent.joined(separator: ", "))"
        }
        notice = text
    }
}

/// The options of a command line before it is parsed: those before `--`, with their values.
struct GivenOptions {
    private var options: [(name: String, value: String?)] = []

    /// The options among some words.
    init(_ words: some Sequence<String>) {
        for word in words.prefix(while: { $0 != "--" }) {
            if word.hasPrefix("-"), word.count > 1 {
                let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                options.append((parts[0], parts.count > 1 ? parts[1] : nil))
            } else if let last = options.indices.last, options[last].value == nil {
                options[last].value = word
            }
        }
    }

    /// Whether any of some options is given.
    func has(_ names: String...) -> Bool { options.contains { names.contains($0.name) } }

    /// The values of an option.
    func values(of name: String) -> [String] { options.filter { $0.name == name }.compactMap(\.value) }

    /// The last value of an option.
    func value(of name: String) -> String? { values(of: name).last }
}
