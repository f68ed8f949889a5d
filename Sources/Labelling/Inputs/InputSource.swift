/// A list of paths to read: where it is, and what stands between its entries.
public struct FileListSource: Sendable, Equatable {
    /// Where the list comes from.
    public enum Place: Sendable, Equatable {
        case standardInput
        case file(BytePath)
    }

    /// What stands between two entries.
    public enum Separator: UInt8, Sendable, CustomStringConvertible {
        case newline = 0x0A
        case nul = 0x00

        /// The separator as a word in a message.
        public var description: String {
            switch self {
            case .newline: "line"
            case .nul: "NUL-ended entry"
            }
        }
    }

    /// Where the list comes from.
    public let place: Place
    /// What stands between two entries.
    public let separator: Separator

    /// A list of paths.
    public init(_ place: Place, separator: Separator) {
        self.place = place
        self.separator = separator
    }
}

/// All that is to be labelled: files and folders by name, then those that a list names.
public struct InputSource: Sendable, Equatable {
    /// Files and folders, in order.
    public let paths: [BytePath]
    /// A list of further files and folders.
    public let list: FileListSource?
    /// Whether a folder stands for the files below it. If not, it is an input that cannot be read, so that there are as many
    /// inputs as paths.
    let opensFolders: Bool

    /// Inputs by name, by a list, or both.
    public init(paths: [BytePath], list: FileListSource? = nil) {
        self.paths = paths
        self.list = list
        opensFolders = true
    }

    /// Exactly these files.
    init(files: [BytePath]) {
        paths = files
        list = nil
        opensFolders = false
    }

    /// Whether the inputs can be gone through a second time, which a list from a pipe cannot.
    var isRepeatable: Bool {
        switch list?.place {
        case nil: true
        case .standardInput: false
        case .file(let path):
            if case .success(let status) = FileStatus.of(path) { status.isRegular } else { false }
        }
    }
}
