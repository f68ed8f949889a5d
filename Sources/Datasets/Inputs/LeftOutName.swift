import Files

/// Names that are no inputs when a folder or an archive is gone through.
enum LeftOutName {
    /// What systems leave in folders of pictures: Windows' and macOS's views, a network disk's previews, what archivers
    /// add.
    private static let leftovers: Set<[UInt8]> = Set(
        [
            "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "#recycle",
            "$recycle.bin", "system volume information", "lost+found", "picasa.ini", "zbthumbnail.info",
        ].map { Array($0.utf8) })
    private static let longest = leftovers.reduce(0) { max($0, $1.count) }

    /// Whether a file or folder is hidden, or left there by a system.
    static func contains(_ name: some Collection<UInt8>) -> Bool {
        if name.first == UInt8(ascii: ".") { return true }
        guard name.count <= longest else { return false }
        return leftovers.contains(
            name.map { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) ? $0 | 0x20 : $0 })
    }

    /// Whether a folder on the way to a file of an archive, or the file itself, is such a one.
    static func isOn(_ path: [UInt8]) -> Bool {
        path.split(separator: slash).contains { part in
            !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8) && contains(part)
        }
    }
}
