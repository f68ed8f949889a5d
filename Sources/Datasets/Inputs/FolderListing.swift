import Files
import Glibc

/// The entries of one folder but those with a `LeftOutName`, sorted, with their names packed into one array.
///
/// The order is git's: by bytes, a folder as if its name ended in "/". So a walk over it meets whole paths in byte order.
struct FolderListing {
    /// An entry: where its name stands, and whether it is, or leads to, a folder.
    struct Entry {
        let start: Int
        let count: Int32
        let isFolder: Bool
    }

    private var names: [UInt8] = []
    private(set) var entries: [Entry] = []
    /// The folder itself, to notice links that lead back to it.
    let device: UInt64
    let inode: UInt64
    /// Why the listing is not whole, if the system stopped it half way.
    private(set) var failure: SystemError?

    /// Reads the folder's entries.
    ///
    /// - Parameter excluded: files that are left out under whatever name.
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
    /// - Parameter isExcluded: told number and device of the file that a link leads to; nil for an entry that is no link.
    private mutating func add(
        _ name: UnsafePointer<CChar>, type: Int, in descriptor: Int32, isExcluded: (UInt64?, UInt64?) -> Bool
    ) {
        let count = strlen(name)
        guard !LeftOutName.contains(UnsafeRawBufferPointer(start: name, count: count)) else { return }
        var isFolder = type == Int(DT_DIR)
        if type == Int(DT_LNK) || type == Int(DT_UNKNOWN) {
            var status = stat()
            let isThere = fstatat(descriptor, name, &status, 0) == 0
            isFolder = isThere && status.st_mode & S_IFMT == S_IFDIR
            if isThere, isExcluded(UInt64(status.st_ino), UInt64(status.st_dev)) { return }
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
