import TestSupport
import Testing

@testable import Files

@Suite struct AtomicFolderTests {
    let folder: TemporaryFolder
    private var path: String { folder["album"].description }

    /// Albums have files of any name, and boxes with pages.
    private static let album = FolderKind(
        "an album", marker: "album.txt",
        contents: .init(folders: { $0 == "box" ? .init(files: { $0.hasPrefix("page") }) : nil }))

    init() throws { folder = try TemporaryFolder() }

    private func write(_ text: String, replaces: Bool = true) throws {
        let output = try AtomicFolder(path + "/", Self.album, replaces: replaces)
        try output.write("album.txt", text)
        try output.makeFolder("box")
        try output.write("box/page1", text)
        try output.commit()
        #expect(!output.discard())
    }

    @Test func theFolderAppearsWhenItIsComplete() throws {
        let output = try AtomicFolder(path, Self.album, replaces: false)
        try output.write("album.txt", "new")
        try output.makeFolder("box")
        try output.write("box/page1", "new")
        #expect(try folder.entries().allSatisfy { $0.hasPrefix(".album.partial-") })
        #expect(output.discard())
        #expect(try folder.entries().isEmpty)
        #expect(throws: FileError.self) { try output.commit() }
        try write("new", replaces: false)
        #expect(try folder.entries() == ["album"])
    }

    @Test func aFolderOfTheSameKindIsReplaced() throws {
        try write("old")
        #expect(throws: OutputError.exists(path: folder["album"])) { try write("new", replaces: false) }
        try folder.write("album/notes.txt", "a file of any name")
        try folder.write("album/box/page2", "old")
        try write("new")
        #expect(folder.content("album/box/page1") == "new")
        #expect(folder.content("album/box/page2") == nil && folder.content("album/notes.txt") == nil)
        #expect(try folder.entries() == ["album"])
    }

    @Test(arguments: [
        ("album/other/page1", "contains the folder \"other\", which is no part of an album"),
        ("album/box/cover", "contains \"box/cover\", which is no part of an album"),
        ("album/box/page1/x", "contains the folder \"box/page1\", which is no part of an album"),
        ("album/album.txt/x", "contains the folder \"album.txt\", which is no part of an album"),
    ])
    func aFolderWithOtherEntriesIsNotReplaced(file: String, reason: String) throws {
        if file != "album/album.txt/x" { try folder.write("album/album.txt", "old") }
        try folder.write(file, "mine")
        #expect(throws: FileError(path: path, reason: reason + "; it is not replaced")) { try write("new") }
        #expect(folder.content(file) == "mine")
        #expect(try folder.entries() == ["album"])
    }

    @Test func aFolderOfAnotherKindIsNotReplaced() throws {
        try folder.write("album/photo.jpg", "mine")
        #expect(throws: FileError(path: path, reason: "already exists and is not an album; it is not replaced")) {
            try write("new")
        }
        #expect(folder.content("album/photo.jpg") == "mine")
    }
}
