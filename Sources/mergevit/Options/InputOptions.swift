import ArgumentParser
import Datasets
import Files

/// The images that `label` and `list` take.
struct InputOptions: ParsableArguments {
    @Argument(help: .init("PATH", "Images, folders (with all below them) and tar archives (*.tar)."))
    var inputs: [PathArgument] = []

    @Option(
        name: .customLong("files-from"),
        help: .init("FILE", "Read more inputs from FILE, one per line; - is stdin."))
    var filesFrom: PathArgument?

    @Flag(name: [.customShort("0"), .customLong("null")], help: "Paths in lists end in NUL instead of newline.")
    var isNullSeparated = false

    @Flag(help: "Trust the list of --files-from as mergevit list wrote it: no entry is a folder.")
    var asListed = false

    @OptionGroup var endings: EndingsOption

    @Flag(help: "Do not fail if there are no images.")
    var allowEmpty = false

    /// What separates the paths of lists.
    var separator: FileListSource.Separator { isNullSeparated ? .nul : .newline }

    /// Where everything comes from.
    func source(archives: InputReading.Archives) -> InputSource {
        let list = filesFrom.map { file in
            FileListSource(file.path.bytes == Array("-".utf8) ? .standardInput : .file(file.path), separator: separator)
        }
        let reading = InputReading(
            opensListedFolders: !asListed, archives: archives, endings: endings.names)
        return InputSource(paths: inputs.map(\.path), list: list, reading: reading)
    }

    /// Checks that there is something to do, as far as that can be told before it is done.
    func check(_ source: InputSource) throws {
        try source.checkPaths()
        if !allowEmpty, try source.isEmpty() { throw source.emptyError }
    }

    func validate() throws {
        guard !inputs.isEmpty || filesFrom != nil else {
            throw ValidationError("No inputs: give files or folders, or --files-from.")
        }
        guard filesFrom != nil || !asListed else { throw ValidationError("--as-listed needs --files-from.") }
    }
}

/// The option that leaves files out by their endings.
struct EndingsOption: ParsableArguments {
    @Option(help: .init("LIST", "Take only files with these endings from folders and archives, as in jpg,jpeg,png."))
    var endings: TextArgument?

    /// The endings in lower case; nil for all files.
    var names: Set<String>? { list.map { Set($0) } }

    private var list: [String]? {
        endings?.text.split(separator: ",", omittingEmptySubsequences: false).map { $0.lowercased() }
    }

    func validate() throws {
        guard list?.contains(where: { $0.isEmpty || $0.contains(".") || $0.contains("/") }) != true else {
            throw ValidationError("--endings must be endings without dots, separated by single commas.")
        }
    }
}

/// How folders and tables of labelled images are read.
struct LabelledReadingOptions: ParsableArguments {
    @OptionGroup var endings: EndingsOption

    @Option(
        help: .init(
            "DIR",
            """
            Folder that relative paths in tables start from (default: the table's; the current one if no file is there).
            """
        ))
    var root: PathArgument?

    @Option(help: .init("NAME", "Column of tables with the paths (default: path, or another usual name)."))
    var pathColumn: TextArgument?

    @Option(
        help: .init(
            "NAME", "Column of tables with the labels (default: label, the task's name, or another usual name)."))
    var labelColumn: TextArgument?

    /// How the images of a task are read.
    ///
    /// - Parameter needsFiles: whether the files that a table names have to be there.
    func reading(_ task: String, needsFiles: Bool = true) -> LabelledReading {
        var reading = LabelledReading(task: task)
        (reading.pathColumn, reading.labelColumn) = (pathColumn?.text, labelColumn?.text)
        reading.root = root?.path
        reading.endings = endings.names
        reading.needsFiles = needsFiles
        return reading
    }
}

/// How many inputs may fail without the command failing.
struct FailureOptions: ParsableArguments {
    @Option(help: .init("N|P%", "Exit with 0 if at most this many inputs fail: a number, or a percentage as in 2%."))
    var maxFailed = FailureLimit.count(0)

    /// Whether this number of failed inputs is allowed.
    func allows(_ failed: Int, of total: Int) -> Bool {
        switch maxFailed {
        case .count(let limit): failed <= limit
        case .percent(let limit): Double(failed) * 100 <= limit * Double(total)
        }
    }
}

/// A number of inputs, or a part of all.
enum FailureLimit: ExpressibleByArgument {
    case count(Int)
    case percent(Double)

    init?(argument: String) {
        if argument.hasSuffix("%") {
            guard let percent = Double(argument.dropLast()), (0...100).contains(percent) else { return nil }
            self = .percent(percent)
        } else {
            guard let count = Int(argument), count >= 0 else { return nil }
            self = .count(count)
        }
    }

    var defaultValueDescription: String {
        switch self {
        case .count(let count): "\(count)"
        case .percent(let percent): "\(percent)%"
        }
    }
}
