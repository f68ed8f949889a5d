package import Files
import Glibc

/// What a path may stand for besides itself.
package struct InputReading: Sendable, Equatable {
    /// Which named inputs are tar archives, which stand for the files in them.
    package enum Archives: Sendable, Equatable {
        case none
        /// Those whose names end in `.tar`.
        case byName
        /// All that are not folders.
        case all
    }

    /// Whether a folder among the paths stands for the files below it. If not, it is an input that cannot be read.
    package var opensNamedFolders: Bool
    /// The same for the entries of a list; if not, they are not even looked at, so that a long list is gone through at once.
    package var opensListedFolders: Bool
    /// Which paths and entries are archives. Files below a folder never are.
    package var archives: Archives
    /// The endings, in lower case and without a dot, of the files of folders and archives that are inputs; nil for all files.
    package var endings: Set<String>?

    /// Folders and files whose names end in `.tar` are opened, unless specified.
    package init(
        opensNamedFolders: Bool = true, opensListedFolders: Bool = true, archives: Archives = .byName,
        endings: Set<String>? = nil
    ) {
        self.opensNamedFolders = opensNamedFolders
        self.opensListedFolders = opensListedFolders
        self.archives = archives
        self.endings = endings
    }

    /// Whether a path that is not a folder is an archive.
    func isArchive(_ path: [UInt8]) -> Bool {
        switch archives {
        case .none: false
        case .byName: InputReading.ending(path) == "tar"
        case .all: true
        }
    }

    /// Whether a file of a folder or archive is an input.
    package func takes(_ path: [UInt8]) -> Bool { endings?.contains(InputReading.ending(path)) ?? true }

    /// Whether a file is a table by its name.
    package static func isTable(_ path: BytePath) -> Bool { ["csv", "tsv"].contains(ending(path.bytes)) }

    /// What stands after the last dot of a name, in lower case; empty where there is none.
    package static func ending(_ path: [UInt8]) -> String {
        guard let mark = path.lastIndex(where: { $0 == UInt8(ascii: ".") || $0 == slash }), path[mark] != slash else {
            return ""
        }
        return String(decoding: path[(mark + 1)...], as: UTF8.self).lowercased()
    }
}

/// All that is to be labelled: files and folders by name, then those that a list names.
package struct InputSource: Sendable, Equatable {
    /// Files and folders, in order.
    package let paths: [BytePath]
    /// A list of further files and folders.
    package let list: FileListSource?
    /// What is looked for behind a path.
    package let reading: InputReading
    /// The inputs that are wanted, by number; nil for all.
    package var part: Range<Int>?
    /// Files that are no inputs where they lie in a folder: what the run itself writes.
    private(set) var excluded: [FileStatus] = []

    /// Inputs by name, by a list, or both.
    package init(paths: [BytePath], list: FileListSource? = nil, reading: InputReading = InputReading()) {
        self.paths = paths
        self.list = list
        self.reading = reading
    }

    /// Exactly these files.
    package init(files: [BytePath]) {
        self.init(paths: files, reading: InputReading(opensNamedFolders: false, archives: .none))
    }

    /// The same but for the files that a run writes, as far as they are there: standard output and standard error, and those at some
    /// paths.
    package func excluding(_ outputs: [BytePath]) -> InputSource {
        var source = self
        let files = outputs.map(FileStatus.of) + [STDOUT_FILENO, STDERR_FILENO].map(FileStatus.of(descriptor:))
        source.excluded = files.compactMap { try? $0.get() }.filter(\.isRegular)
        return source
    }

    /// Checks that the files and folders that are named are there; entries of a list are rows whatever they are.
    ///
    /// - Throws: `FileError` naming the first that is not.
    package func checkPaths() throws(FileError) {
        for path in paths {
            guard case .failure(let error) = FileStatus.of(path) else { continue }
            if [ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG].contains(error.code) {
                throw FileError(path: path, reason: "\(error)")
            }
        }
    }

    /// Whether there is not one input; false if that cannot be told without using a list up.
    package func isEmpty() throws(FileError) -> Bool {
        guard isRepeatable else { return false }
        var path: [UInt8] = []
        return try InputLister(self).next(into: &path, waiting: { _ in true }) == nil
    }

    /// The error about a source without inputs.
    package var emptyError: NoInputs {
        let names = paths.prefix(3).map(\.description) + (list == nil ? [] : ["the list"])
        let others = reading.endings == nil ? "" : " with one of the endings"
        return NoInputs(description: "there is no file\(others) in \(names.joined(separator: ", "))")
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

/// A source has not one input.
package struct NoInputs: Error, Equatable, Sendable, CustomStringConvertible {
    /// Where there is none.
    package let description: String
}
