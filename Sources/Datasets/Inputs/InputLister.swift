package import Files

/// Goes through an `InputSource` one input at a time: folders recursively in byte order of the paths, archives in the
/// order of their members, everything else in the order it is named. It is used by one thread at a time.
package final class InputLister {
    /// What is being gone through below one path.
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
    /// Inputs to go past, and then to give.
    private var (toSkip, toGive): (Int, Int)

    /// Opens the list, if the source has one.
    package init(_ source: InputSource) throws(FileError) {
        paths = source.paths
        reading = source.reading
        excluded = source.excluded
        list = if let list = source.list { try FileList(list) } else { nil }
        (toSkip, toGive) = source.part.map { ($0.lowerBound, $0.count) } ?? (0, .max)
    }

    /// Goes past the next inputs.
    ///
    /// - Returns: the digest of their paths; nil when there are fewer, or when `isStopped` says so.
    package func skip(_ count: Int, isStopped: () -> Bool) throws(FileError) -> InputDigest? {
        var digest = InputDigest()
        var path: [UInt8] = []
        for _ in 0..<count {
            guard !isStopped(), try next(into: &path, waiting: { !($0 && isStopped()) }) != nil else { return nil }
            digest.add(path)
        }
        return digest
    }

    /// How many links were left out because they lead back to a folder above them.
    package var loops: Int {
        guard case .folder(let walk) = walk else { return finishedLoops }
        return finishedLoops + walk.loops
    }

    /// Puts the next input's path into `path`; nil when there are no more, or when `waiting` says to stop.
    ///
    /// - Throws: `FileError` when the list cannot be read any further.
    package func next(into path: inout [UInt8], waiting: FileList.Waiting) throws(FileError) -> ListedInput? {
        while toSkip > 0 {
            guard waiting(false), try nextOfAll(into: &path, waiting: waiting) != nil else { return nil }
            toSkip -= 1
        }
        guard toGive > 0, let input = try nextOfAll(into: &path, waiting: waiting) else { return nil }
        toGive -= 1
        return input
    }

    private func nextOfAll(into path: inout [UInt8], waiting: FileList.Waiting) throws(FileError) -> ListedInput? {
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

    /// The next input below the path that was opened last; nil when there are no more.
    private func nextOfWalk(into path: inout [UInt8]) -> ListedInput? {
        while true {
            let input: ListedInput?
            var isMember = false
            switch walk {
            case nil: return nil
            case .folder(var folder):
                // The enumeration lets go of it, so that it is changed in place.
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

/// What a step of a listing came to.
package enum ListedInput: Equatable {
    /// A path that is not a folder; whether it can be read is found out when it is.
    case file
    /// A file inside an archive.
    case member(ArchiveMember)
    /// A path that cannot be labelled, for a reason already known.
    case unreadable(reason: String)
}

extension FileReader {
    /// Calls `body` with the content of an input that a lister gave.
    ///
    /// - Throws: also the reason of one that cannot be read.
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
    /// Reads all of it.
    ///
    /// - Throws: `FileReader.Failure` when the archive has become shorter.
    fileprivate func read(into buffer: UnsafeMutableRawBufferPointer) throws {
        guard try archive.read(at: offset, into: buffer) == size else {
            throw FileReader.Failure(description: "the archive has become shorter")
        }
    }
}

/// The SHA-256 of a list of paths: of each its length as 8 bytes, lowest first, then its bytes.
package struct InputDigest: Sendable, Equatable {
    private var state = SHA256()

    /// The digest of no paths.
    package init() {}

    /// Takes the next path.
    package mutating func add(_ path: [UInt8]) {
        withUnsafeBytes(of: UInt64(path.count).littleEndian) { state.add($0) }
        path.withUnsafeBytes { state.add($0) }
    }

    /// The digest of the paths so far as 64 hexadecimal digits.
    package var text: String { state.text }
}
