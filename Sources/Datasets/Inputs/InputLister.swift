package import Files

/// Lists the inputs of an `InputSource` one at a time: named paths in their order, folders recursively in byte order of
/// the paths, archives in the order of their members. It is used by one thread at a time.
package final class InputLister {
    /// Called with true, repeatedly, while a list from a pipe has no entry ready, and with false when it continues.
    /// Returns whether to keep waiting.
    package typealias Waiting = (_ isWaiting: Bool) -> Bool

    /// A walk over the inputs below one path.
    private enum Walk {
        case folder(FolderWalk)
        case archive(TarWalk)
    }

    private let paths: [BytePath]
    private var nextPath = 0
    private let list: FileList?
    private let reading: InputReading
    private let excluded: [FileStatus]
    private var walk: Walk?
    private var finishedLoops = 0
    /// The numbers of inputs to skip, and then to return.
    private var (skipsLeft, inputsLeft): (Int, Int)

    /// A lister at the first input of a source.
    ///
    /// - Throws: `FileError` when the source's list cannot be opened.
    package init(_ source: InputSource) throws(FileError) {
        paths = source.paths
        reading = source.reading
        excluded = source.excluded
        list = if let list = source.list { try FileList(list) } else { nil }
        (skipsLeft, inputsLeft) = source.part.map { ($0.lowerBound, $0.count) } ?? (0, .max)
    }

    /// Skips the next inputs.
    ///
    /// - Returns: the digest of their paths; nil when there are fewer, or when `isStopped` returns true.
    /// - Throws: `FileError` when the list cannot be read.
    package func skip(_ count: Int, isStopped: () -> Bool) throws(FileError) -> InputDigest? {
        var digest = InputDigest()
        var path: [UInt8] = []
        for _ in 0..<count {
            guard !isStopped(), try next(into: &path, waiting: { !($0 && isStopped()) }) != nil else { return nil }
            digest.add(path)
        }
        return digest
    }

    /// The number of links left out because they lead back to a folder above them.
    package var loops: Int {
        guard case .folder(let walk) = walk else { return finishedLoops }
        return finishedLoops + walk.loops
    }

    /// Goes to the next input and writes its path to `path`.
    ///
    /// - Returns: nil at the end, or when `waiting` returns false.
    /// - Throws: `FileError` when the list cannot be read any further.
    package func next(into path: inout [UInt8], waiting: Waiting) throws(FileError) -> ListedInput? {
        while skipsLeft > 0 {
            guard waiting(false), try nextOfAll(into: &path, waiting: waiting) != nil else { return nil }
            skipsLeft -= 1
        }
        guard inputsLeft > 0, let input = try nextOfAll(into: &path, waiting: waiting) else { return nil }
        inputsLeft -= 1
        return input
    }

    private func nextOfAll(into path: inout [UInt8], waiting: Waiting) throws(FileError) -> ListedInput? {
        while true {
            if let input = nextOfWalk(into: &path) { return input }
            let opensFolders: Bool
            if nextPath < paths.count {
                path.replaceSubrange(path.indices, with: paths[nextPath].bytes)
                nextPath += 1
                opensFolders = reading.opensNamedFolders
            } else {
                guard let list, try list.next(into: &path, waiting: waiting) else { return nil }
                opensFolders = reading.opensListedFolders
            }
            if path.contains(0) { return .unreadable(reason: "the path holds a NUL byte") }
            if opensFolders, case .success(let status) = FileStatus.of(BytePath(path)), status.isFolder {
                walk = .folder(FolderWalk(BytePath(path), excluding: excluded))
            } else if reading.isArchive(path) {
                walk = .archive(TarWalk(BytePath(path)))
            } else {
                return .file
            }
        }
    }

    /// The next input of the current walk; nil at its end.
    private func nextOfWalk(into path: inout [UInt8]) -> ListedInput? {
        while true {
            let input: ListedInput?
            var isMember = false
            switch walk {
            case nil: return nil
            case .folder(var folder):
                // Without a second reference, the walk is changed in place.
                walk = nil
                input = folder.next(into: &path)
                if input == nil { finishedLoops += folder.loops } else { walk = .folder(folder) }
            case .archive(var archive):
                walk = nil
                input = archive.next(into: &path)
                isMember = archive.isAtMember
                if input != nil { walk = .archive(archive) }
            }
            guard let input else { return nil }
            if case .unreadable = input, !isMember { return input }
            if reading.takes(path) { return input }
        }
    }
}

/// A step of a listing.
package enum ListedInput: Equatable {
    /// A path that is not a folder; whether it can be read is not checked yet.
    case file
    /// A file inside an archive.
    case member(ArchiveMember)
    /// A path that is not a readable file, with the reason.
    case unreadable(reason: String)
}

extension FileReader {
    /// Calls `body` with the content of a listed input.
    ///
    /// - Throws: `Failure`, also with the reason of an unreadable input; `SystemError`; any error of `body`.
    package mutating func read(
        _ input: ListedInput, at path: BytePath, watchedBy activity: ReadActivity? = nil,
        _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        switch input {
        case .file: try read(path, watchedBy: activity, body)
        case .member(let member):
            try read(count: member.size, watchedBy: activity, fill: member.read(into:), body)
        case .unreadable(let reason): throw Failure(description: reason)
        }
    }
}

extension ArchiveMember {
    /// Reads the whole member.
    ///
    /// - Throws: `FileReader.Failure` when the archive has become shorter.
    fileprivate func read(into buffer: UnsafeMutableRawBufferPointer) throws {
        guard try archive.read(at: offset, into: buffer) == size else {
            throw FileReader.Failure(description: "the archive has become shorter")
        }
    }
}

/// The SHA-256 of a list of paths: for each path, its length in 8 little-endian bytes, then its bytes.
package struct InputDigest: Sendable, Equatable {
    private var state = SHA256()

    /// The digest of no paths.
    package init() {}

    /// Adds the next path.
    package mutating func add(_ path: [UInt8]) {
        withUnsafeBytes(of: UInt64(path.count).littleEndian) { state.add($0) }
        path.withUnsafeBytes { state.add($0) }
    }

    /// The digest of the paths so far as 64 hexadecimal digits.
    package var text: String { state.text }
}
