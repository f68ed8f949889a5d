/// Goes through an `InputSource` one input at a time: folders recursively in byte order of the paths, everything else
/// in the order it is named. It is used by one thread at a time.
final class InputLister {
    private let paths: [BytePath]
    private var next = 0
    private let list: FileList?
    private let opensFolders: Bool
    private var walk: FolderWalk?
    private var finishedLoops = 0

    /// Opens the list, if the source has one.
    init(_ source: InputSource) throws(LabellingError) {
        paths = source.paths
        opensFolders = source.opensFolders
        list = if let list = source.list { try FileList(list) } else { nil }
    }

    /// Goes past the next inputs.
    ///
    /// - Returns: the digest of their paths; nil when there are fewer, or when `isStopped` says so.
    func skip(_ count: Int, isStopped: () -> Bool) throws(LabellingError) -> InputDigest? {
        var digest = InputDigest()
        var path: [UInt8] = []
        for _ in 0..<count {
            guard !isStopped(), try next(into: &path, waiting: { !($0 && isStopped()) }) != nil else { return nil }
            digest.add(path)
        }
        return digest
    }

    /// How many links were left out because they lead back to a folder above them.
    var loops: Int { finishedLoops + (walk?.loops ?? 0) }

    /// Puts the next input's path into `path`; nil when there are no more, or when `waiting` says to stop.
    ///
    /// - Throws: `LabellingError.fileList` when the list cannot be read any further.
    func next(into path: inout [UInt8], waiting: FileList.Waiting) throws(LabellingError) -> ListedInput? {
        while true {
            if walk != nil {
                if let input = walk?.next(into: &path) { return input }
                finishedLoops += walk?.loops ?? 0
                walk = nil
            }
            if next < paths.count {
                path.replaceSubrange(path.indices, with: paths[next].bytes)
                next += 1
            } else {
                guard let list, try list.next(into: &path, waiting: waiting) else { return nil }
            }
            if path.contains(0) { return .unreadable(reason: "the path holds a NUL byte") }
            guard opensFolders, case .success(let status) = FileStatus.of(BytePath(path)), status.isFolder else {
                return .file
            }
            walk = FolderWalk(BytePath(path))
        }
    }
}
