package import Files
import Glibc

/// Which paths are opened as folders or archives, and which of their files are inputs.
package struct InputReading: Sendable, Equatable {
    /// Which paths are tar archives, whose members are the inputs.
    package enum Archives: Sendable, Equatable {
        case none
        /// Those whose names end in `.tar`.
        case byName
        /// All that are not folders.
        case all
    }

    /// Whether a named folder is replaced by the files below it. If not, it is an input that cannot be read.
    package var opensNamedFolders: Bool
    /// Whether folders in a list are replaced by the files below them. If not, entries are not checked, which is
    /// faster.
    package var opensListedFolders: Bool
    /// Which paths and entries of lists are archives. Files below a folder never are.
    package var archives: Archives
    /// The file extensions, in lower case and without a dot, of inputs in folders and archives; nil for all files.
    package var endings: Set<String>?

    /// Opens folders and files whose names end in `.tar`, unless specified.
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

    /// Whether a file in a folder or archive is an input.
    func takes(_ path: [UInt8]) -> Bool { endings?.contains(InputReading.ending(path)) ?? true }

    /// Whether the name of a file is that of a CSV or TSV table.
    package static func isTable(_ path: BytePath) -> Bool { ["csv", "tsv"].contains(ending(path.bytes)) }

    /// The extension of a file name in lower case, without the dot; empty if there is none.
    static func ending(_ path: [UInt8]) -> String {
        guard let mark = path.lastIndex(where: { $0 == UInt8(ascii: ".") || $0 == slash }), path[mark] != slash else {
            return ""
        }
        return String(decoding: path[(mark + 1)...], as: UTF8.self).lowercased()
    }
}

/// The inputs of a command: named files and folders, then the entries of a list.
package struct InputSource: Sendable, Equatable {
    /// Files and folders, in order.
    package let paths: [BytePath]
    /// A list of more files and folders.
    package let list: FileListSource?
    /// Which paths are opened as folders or archives.
    package let reading: InputReading
    /// The range of the inputs to list, from 0; nil for all.
    package var part: Range<Int>?
    /// Files that are not inputs when found in a folder: those that the run writes.
    private(set) var excluded: [FileStatus] = []

    /// Inputs from paths, a list, or both.
    package init(paths: [BytePath], list: FileListSource? = nil, reading: InputReading = InputReading()) {
        self.paths = paths
        self.list = list
        self.reading = reading
    }

    /// Exactly these files: neither folders nor archives are opened.
    package init(files: [BytePath]) {
        self.init(paths: files, reading: InputReading(opensNamedFolders: false, archives: .none))
    }

    /// The source without the files that a run writes: those at the given paths, standard output and standard error.
    package func excluding(_ outputs: [BytePath]) -> InputSource {
        var source = self
        let files = outputs.map(FileStatus.of) + [STDOUT_FILENO, STDERR_FILENO].map(FileStatus.of(descriptor:))
        source.excluded = files.compactMap { try? $0.get() }.filter(\.isRegular)
        return source
    }

    /// Checks that all named files and folders exist. Entries of a list are not checked: each gets its row.
    ///
    /// - Throws: `FileError` naming the first that does not exist.
    package func checkPaths() throws(FileError) {
        for path in paths {
            guard case .failure(let error) = FileStatus.of(path) else { continue }
            if [ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG].contains(error.code) {
                throw FileError(path: path, reason: "\(error)")
            }
        }
    }

    /// Whether there are no inputs; false if only consuming a list could tell.
    package func isEmpty() throws(FileError) -> Bool {
        guard isRepeatable else { return false }
        var path: [UInt8] = []
        return try InputLister(self).next(into: &path, waiting: { _ in true }) == nil
    }

    /// The error for a source without inputs.
    package var emptyError: NoInputs {
        let names = paths.prefix(3).map(\.description) + (list == nil ? [] : ["the list"])
        return NoInputs(places: names, endings: reading.endings)
    }

    /// Whether the inputs can be listed again, which a list from a pipe cannot.
    var isRepeatable: Bool {
        switch list?.origin {
        case nil: true
        case .standardInput: false
        case .file(let path):
            if case .success(let status) = FileStatus.of(path) { status.isRegular } else { false }
        }
    }
}

/// The error for a source without inputs.
package struct NoInputs: Error, Equatable, Sendable, CustomStringConvertible {
    /// The first few paths that have no inputs, and the list.
    package let places: [String]
    /// The file extensions that inputs must have; nil for any.
    package let endings: Set<String>?

    /// The error for these places.
    package init(places: [String], endings: Set<String>?) { (self.places, self.endings) = (places, endings) }

    /// The places, and the extensions if there are any.
    package var description: String {
        let list = (endings ?? []).sorted().joined(separator: ",")
        return "there is no file\(endings == nil ? "" : " with an extension of \(list)") in "
            + places.joined(separator: ", ")
    }
}
