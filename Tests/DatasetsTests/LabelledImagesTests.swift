import Glibc
import TestSupport
import Testing

@testable import Datasets
@testable import Files

@Suite struct LabelledImagesTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The images as `path class`, paths below the folder.
    private func items(_ images: LabelledImages) -> [String] {
        images.items.map { "\($0.path)".replacing("\(folder.path)/", with: "") + " " + images.classes[$0.class] }
    }

    /// The reason why a path cannot be read as labelled images.
    private func reason(_ name: String) -> String? {
        do throws(FileError) {
            _ = try LabelledImages(measuredOn: folder[name])
            return nil
        } catch {
            return error.description.replacing("\(folder.path)/", with: "").replacing("\(folder.path)", with: ".")
        }
    }

    @Test func aFolderGivesClassesAndFilesInByteOrder() throws {
        for name in [
            "d/b/2.png", "d/b/10.png", "d/b/sub/1.png", "d/a-b/x", "d/a/y", "d/B/z", "d/.git/q", "d/a/.hidden",
        ] {
            try folder.write(name)
        }
        let images = try LabelledImages(measuredOn: folder["d"])
        #expect(images.classes == ["B", "a", "a-b", "b"])
        #expect(
            items(images) == ["d/B/z B", "d/a/y a", "d/a-b/x a-b", "d/b/10.png b", "d/b/2.png b", "d/b/sub/1.png b"])
    }

    @Test func aFolderThatIsNotOneOfClassesIsRefused() throws {
        try folder.write("none/.hidden")
        #expect(reason("none") == "none: expected a folder for each class, found none")
        for name in ["stray/a/1", "stray/1", "stray/2", "stray/3", "stray/4"] { try folder.write(name) }
        #expect(reason("stray") == "stray: expected a folder for each class, found 1, 2, 3 and 1 more beside them")
        try folder.write("empty/a/1")
        try folder.write("empty/b/.hidden")
        #expect(reason("empty") == "empty/b: the class has no images")
        try folder.write("bytes/.hidden")
        #expect(folder["bytes"].appending([0xFF]).withCString { mkdir($0, 0o755) } == 0)
        try folder.write("double/a/1")
        try folder.write("double/a /1")
        #expect(reason("double") == "double/a : the name of this class is that of another folder")
        #expect(reason("bytes") == "bytes/\u{FFFD}: a class is named by its folder, whose name must be UTF-8")
        #expect(reason("gone") == "gone: No such file or directory")
    }

    @Test func aTableNamesImagesFromItsOwnFolder() throws {
        for name in ["t/1", "t/x,y", "t/in/2", "t/q\"\nz"] { try folder.write(name) }
        try folder.write(
            "t/a.csv",
            "\u{FEFF}label,path\r\nbee,1\r\n\r\n\"ant\",\"x,y\"\n\"a \"\"b\"\"\",in/2\nbee,\"q\"\"\nz\"\n"
                + "bee,\(folder["t/1"])"
        )
        let images = try LabelledImages(measuredOn: folder["t/a.csv"])
        #expect(images.classes == ["a \"b\"", "ant", "bee"])
        #expect(items(images) == ["t/1 bee", "t/x,y ant", "t/in/2 a \"b\"", "t/q\"\nz bee", "t/1 bee"])
    }

    @Test func aHeaderWithATabMakesATableTabSeparated() throws {
        try folder.write("a,b")
        try folder.write("t.tsv", "path\tlabel\na,b\tant, bee\n")
        #expect(try items(LabelledImages(measuredOn: folder["t.tsv"])) == ["a,b ant, bee"])
    }

    private static let expected = "expected a header with the columns path and label"
    private static let places = "; looked in . and in the current folder"

    @Test(arguments: [
        ("", "the file is empty"),
        ("path,label\n", "the table has no rows"),
        ("path\n1\n", "\(Self.expected), found \"path\""),
        ("path,path\n1,2\n", "more than one column may have the paths: \"path,path\""),
        ("path,notes\n1,2\n", "\(Self.expected), found \"path,notes\""),
        ("path,label,label\n", "more than one column may have the labels: \"label,label\""),
        ("path,label,split\n1,a,train\n1,a,\n", "line 3: the split \"\" is none of train, val and test"),
        ("path,status,label\n1,ok,\n2,error: no,a\n", "no row has a label: 1 with an error and 1 without a label"),
        ("\u{1}PNG", "is not a table: expected CSV or TSV, whose first line names the columns"),
        ("{\"path\":1}\n", "JSON Lines are not supported here: expected CSV or TSV"),
        ("path,label\n1,a\n1,a,b\n", "line 3: expected 2 cells, found 3"),
        ("path,label\n1\n", "line 2: expected 2 cells, found 1"),
        ("path,label\n,a\n", "line 2: the path is empty or contains a NUL byte"),
        ("path,label\n1,\n", "line 2: the label is empty"),
        ("path,label\n1,\"\"\n", "line 2: the label is empty"),
        ("path,label\n1,\"a\n", "line 2: a quoted cell has no end, or goes on after its end"),
        ("path,label\n1,\"a\"b\n", "line 2: a quoted cell has no end, or goes on after its end"),
        ("path,label\n\"1\",\"a\nb\"\n1,c\n", "line 4: 1 is \"c\" here and \"a\nb\" on line 2"),
        ("path,label\n1,a\nx,a\n.,b\n", "2 of 3 files are not there: x, .\(Self.places)"),
        ("path,label\n5,a\n6,a\n7,a\n8,b\n", "4 of 4 files are not there: 5, 6, 7 and 1 more\(Self.places)"),
    ])
    func aTableThatIsWrongIsRefused(content: String, expected: String) throws {
        try folder.write("1")
        try folder.write("t.csv", content)
        #expect(reason("t.csv") == "t.csv: \(expected)")
    }

    @Test func labelsMustBeUTF8ButPathsNeedNot() throws {
        let name: [UInt8] = [0xFE, 0xFF]
        try folder.write(name, [1])
        try folder.write(Array("t.csv".utf8), Array("path,label\n".utf8) + name + Array(",a\n".utf8))
        #expect(try LabelledImages(measuredOn: folder["t.csv"]).items.map(\.path) == [folder[name]])
        try folder.write(Array("u.csv".utf8), Array("label,path\n".utf8) + name + Array(",1\n".utf8))
        #expect(reason("u.csv") == "u.csv: line 2: the label is not UTF-8")
    }

    @Test func classesCanBeCountedAsAModelCountsThem() throws {
        for name in ["d/a/1", "d/b/2"] { try folder.write(name) }
        let images = try LabelledImages(measuredOn: folder["d"])
        let moved = try images.indexed(by: ["c", "b", "a"])
        #expect(moved.classes == ["c", "b", "a"])
        #expect(items(moved) == items(images))
        #expect(throws: FileError(path: folder["d"], reason: "classes that are not known: a")) {
            try images.indexed(by: ["b", "c"])
        }
    }
}
