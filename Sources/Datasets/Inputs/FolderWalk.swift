import Files
import Glibc

/// A walk over all files below one folder, in byte order of their paths, one step at a time.
///
/// Memory holds the entries of the folders from the root to the current one, never the whole tree.
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
    /// The number of links left out because they lead back to a folder above them.
    private(set) var loops = 0

    /// Starts at a folder. If it cannot be read, the walk has one step, with the reason.
    ///
    /// - Parameter excluded: files to leave out.
    init(_ root: BytePath, excluding excluded: [FileStatus] = []) {
        path = root
        self.excluded = excluded
        enter()
    }

    /// Goes to the next file or unreadable folder and writes its path to `output`; returns nil at the end.
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

    /// Opens the folder at `path`, unless the walk is inside that folder already.
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

/// The sorted entries of one folder, except those with an `IgnoredName`; the names are packed into one array.
///
/// The order is git's: by bytes, a folder as if its name ended in "/". So a walk visits whole paths in byte order.
struct FolderListing {
    /// An entry: the range of its name, and whether it is, or leads to, a folder.
    struct Entry {
        let start: Int
        let count: Int32
        let isFolder: Bool
    }

    private var names: [UInt8] = []
    private(set) var entries: [Entry] = []
    /// The identity of the folder, to detect links that lead back to it.
    let device: UInt64
    let inode: UInt64
    /// The error that ended the listing before its end.
    private(set) var failure: SystemError?

    /// Reads the folder's entries.
    ///
    /// - Parameter excluded: files to leave out, whatever their names.
    init(_ path: BytePath, excluding excluded: [FileStatus] = []) throws(SystemError) {
        let descriptor = try openPatiently(path, O_DIRECTORY)
        guard case .success(let status) = FileStatus.of(descriptor: descriptor), let folder = fdopendir(descriptor)
        else {
            let code = errno
            close(descriptor)
            throw SystemError(code: code)
        }
        defer { closedir(folder) }
        device = status.device
        inode = status.inode
        errno = 0
        while let entry = readdir(folder) {
            let name = UnsafeRawPointer(entry) + (MemoryLayout<dirent>.offset(of: \.d_name) ?? 19)
            add(name.assumingMemoryBound(to: CChar.self), type: Int(entry.pointee.d_type), in: descriptor) {
                inode, device in
                excluded.contains {
                    $0.inode == inode ?? UInt64(entry.pointee.d_ino) && $0.device == device ?? status.device
                }
            }
            errno = 0
        }
        if errno != 0 { failure = SystemError(code: errno) }
        sort()
    }

    /// The entry's name.
    func name(_ index: Int) -> ArraySlice<UInt8> {
        let entry = entries[index]
        return names[entry.start..<(entry.start + Int(entry.count))]
    }

    /// Adds an entry unless it is left out.
    ///
    /// - Parameter isExcluded: takes inode and device of the target of a link; nil for other entries.
    private mutating func add(
        _ name: UnsafePointer<CChar>, type: Int, in descriptor: Int32, isExcluded: (UInt64?, UInt64?) -> Bool
    ) {
        let count = strlen(name)
        guard !IgnoredName.contains(UnsafeRawBufferPointer(start: name, count: count)) else { return }
        var isFolder = type == Int(DT_DIR)
        if type == Int(DT_LNK) || type == Int(DT_UNKNOWN) {
            var status = stat()
            let targetExists = fstatat(descriptor, name, &status, 0) == 0
            isFolder = targetExists && status.st_mode & S_IFMT == S_IFDIR
            if targetExists, isExcluded(UInt64(status.st_ino), UInt64(status.st_dev)) { return }
        } else if isExcluded(nil, nil) {
            return
        }
        entries.append(Entry(start: names.count, count: Int32(count), isFolder: isFolder))
        names.append(contentsOf: UnsafeRawBufferPointer(start: name, count: count))
    }

    private mutating func sort() {
        names.withUnsafeBufferPointer { names in
            entries.sort { FolderListing.precedes($0, $1, names) }
        }
    }

    private static func precedes(_ left: Entry, _ right: Entry, _ names: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let base = names.baseAddress else { return false }
        let common = Int(min(left.count, right.count))
        let order = memcmp(base + left.start, base + right.start, common)
        if order != 0 { return order < 0 }
        func next(_ entry: Entry) -> Int {
            if Int(entry.count) > common { return Int(names[entry.start + common]) }
            return entry.isFolder ? Int(slash) : -1
        }
        return next(left) < next(right)
    }
}

/// Names of files and folders that are never inputs inside a folder or an archive.
enum IgnoredName {
    /// Files that systems create in folders of pictures: settings of file managers, previews, remains of archivers.
    private static let leftovers: Set<[UInt8]> = Set(
        [
            "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle",
            "$recycle.bin", "system volume information", "lost+found", "picasa.ini", "zbthumbnail.info",
        ].map { Array($0.utf8) })
    private static let longest = leftovers.reduce(0) { max($0, $1.count) }

    /// Whether a name is that of a hidden file, or of one created by a system.
    static func contains(_ name: some Collection<UInt8>) -> Bool {
        if name.first == UInt8(ascii: ".") { return true }
        guard name.count <= longest else { return false }
        return leftovers.contains(
            name.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 })
    }

    /// Whether a component of a path has such a name.
    static func occurs(in path: [UInt8]) -> Bool {
        path.split(separator: slash).contains { part in
            !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8) && contains(part)
        }
    }
}
