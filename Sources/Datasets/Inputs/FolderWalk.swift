import Files

/// A walk over all files below one folder, in byte order of their paths, one step at a time.
///
/// Memory holds the names of the folders between the top and where the walk is, never the whole tree.
struct FolderWalk {
    private struct Level {
        let listing: FolderListing
        var next = 0
        /// The length of the folder's own path within `path`.
        let length: Int
    }

    private var levels: [Level] = []
    private var path: BytePath
    private var pending: SystemError?
    private let excluded: [FileStatus]
    /// How many links back to a folder above were left out.
    private(set) var loops = 0

    /// Starts at a folder, which need not be readable: then the walk has one step, with the reason.
    ///
    /// - Parameter excluded: files that are passed over.
    init(_ root: BytePath, excluding excluded: [FileStatus] = []) {
        path = root
        self.excluded = excluded
        enter()
    }

    /// Goes to the next file or unreadable folder, whose path it puts into `output`; nil at the end.
    mutating func next(into output: inout [UInt8]) -> ListedInput? {
        while true {
            if let failure = pending {
                pending = nil
                output.replaceSubrange(output.indices, with: path.bytes)
                return .unreadable(reason: "cannot list the folder: \(failure)")
            }
            guard let level = levels.last else { return nil }
            path.bytes.removeSubrange(level.length...)
            guard level.next < level.listing.entries.count else {
                levels.removeLast()
                continue
            }
            levels[levels.count - 1].next += 1
            if path.bytes.last != slash { path.bytes.append(slash) }
            path.bytes.append(contentsOf: level.listing.name(level.next))
            if level.listing.entries[level.next].isFolder {
                enter()
                continue
            }
            output.replaceSubrange(output.indices, with: path.bytes)
            return .file
        }
    }

    /// Opens the folder at `path`, unless it is one that the walk is inside of already.
    private mutating func enter() {
        do {
            let listing = try FolderListing(path, excluding: excluded)
            guard !levels.contains(where: { $0.listing.device == listing.device && $0.listing.inode == listing.inode })
            else {
                loops += 1
                return
            }
            pending = listing.failure
            levels.append(Level(listing: listing, length: path.bytes.count))
        } catch {
            pending = error
        }
    }
}
