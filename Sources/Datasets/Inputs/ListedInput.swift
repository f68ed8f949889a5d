package import Files

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
