import TestSupport
import Testing
import VisionTransformers

@testable import Datasets
@testable import Files

/// Tables as people, spreadsheets, other programs and `label` write them.
@Suite struct LabelledTableTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        for name in ["1", "2", "3", "in/4"] { try folder.write(name) }
    }

    private func read(_ content: String, _ change: (inout LabelledReading) -> Void = { _ in }) throws -> LabelledImages
    {
        var reading = LabelledReading(task: "bugs")
        change(&reading)
        try folder.write("t.csv", content)
        return try LabelledTable(folder["t.csv"], reading).images()
    }

    private func items(_ images: LabelledImages) -> [String] {
        images.items.map { "\($0.path)".replacing("\(folder.path)/", with: "") + " " + images.classes[$0.class] }
    }

    private func reason(_ content: String, _ change: (inout LabelledReading) -> Void = { _ in }) throws -> String? {
        do {
            _ = try read(content, change)
            return nil
        } catch { return "\(error)".replacing("\(folder.path)/", with: "") }
    }

    @Test(arguments: [
        "path,label,notes\n1,ant,x\n2,bee,\"a,b\"\n",
        ",path,label\n0,1,ant\n1,2,bee\n",
        "file_name,label\n1,ant\n2,bee\n",
        "path;label\n1;ant\n2;bee\n",
        "path;label;size\n1;ant;1,5\n2;bee;2,5\n",
        "sep=;\r\npath;label\r\n1;ant\r\n2;bee\r\n",
        "\u{FEFF}Label\tPath\r\nant\t1\r\nbee\t2\r\n",
        " PATH , Label \n1, ant\n2,bee \n",
        "path,label\n1,ant\u{A0}\n,\n2,\tbee\n",
        "image_path,class\n1,ant\n2,bee\n",
        "path,bugs,birds\n1,ant,crow\n2,bee,owl\n",
        "path,status,bugs,bugs_score,birds,birds_score\n1,ok,ant,0.9,crow,0.9\n2,below threshold: birds,bee,0.9,,0.2\n",
        "path,status,bugs,bugs_score,bugs_2,bugs_2_score,bugs:ant,bugs:bee\n1,ok,ant,1,bee,0,1,0\n2,ok,bee,1,ant,0,0,1\n",
        "path,status,task,rank,label,score\n1,ok,bugs,1,ant,1\n1,ok,bugs,2,bee,0\n1,ok,birds,1,owl,1\n2,ok,bugs,1,bee,1\n",
    ])
    func tablesOfManyProgramsAreRead(content: String) throws {
        #expect(try items(read(content)) == ["1 ant", "2 bee"])
    }

    @Test func columnsCanBeNamed() throws {
        let table = "a,b,path,label\n2,x,1,ant\n"
        #expect(try items(read(table) { ($0.pathColumn, $0.labelColumn) = ("A", "b") }) == ["2 x"])
        #expect(try items(read(table)) == ["1 ant"])
        #expect(
            try reason(table) { $0.labelColumn = "c" }
                == "t.csv: the table has no column \"c\"; its columns are \"a,b,path,label\"")
        #expect(
            try reason("path,label,bugs\n1,ant,bee\n")
                == "t.csv: the columns \"bugs\" and \"label\" may both have the labels of bugs")
        #expect(
            try reason("file,image,label\n1,2,ant\n")
                == "t.csv: more than one column may have the paths: \"file,image\"")
        #expect(
            try reason("path,status,birds\n1,ok,owl\n")
                == "t.csv: expected a header with the columns path and label (or bugs), found \"path,status,birds\"")
    }

    @Test func rowsWithoutALabelOfATableOfLabelAreLeftOut() throws {
        let images = try read(
            "path,status,bugs,bugs_score\n1,ok,ant,0.9\n2,below threshold: bugs,,0.2\n3,error: the file is empty,,\n")
        #expect(items(images) == ["1 ant"])
        #expect(images.notes == ["\(folder["t.csv"]): left out rows: 1 with an error and 1 without a label"])
        #expect(try reason("path,label\n1,\n") == "t.csv: line 2: the label is empty")
    }

    @Test func pathsStartAtTheTableTheCurrentFolderOrTheRoot() throws {
        #expect(try items(read("path,label\n4,ant\n") { $0.root = folder["in"] }) == ["in/4 ant"])
        #expect(try reason("path,label\n4,ant\n")?.contains("1 of 1 files are not there: 4; looked in ") == true)
        #expect(
            try reason("path,label\n4,ant\n") { $0.root = folder["no"] } == "t.csv: 1 of 1 files are not there: no/4")
        // A file that is in the current folder of these tests, whatever it is.
        let here = try #require(FolderContents(BytePath(".")).files.first.map { String(decoding: $0, as: UTF8.self) })
        let found = try read("path,label\n\(here),ant\n")
        #expect(found.items.map(\.path) == [BytePath(here)])
        #expect(found.notes == ["\(folder["t.csv"]): its paths are taken from the current folder"])
        // One file beside the table is enough for all paths to start there.
        #expect(try reason("path,label\n\(here),ant\n1,bee\n")?.contains("1 of 2 files are not there") == true)
    }

    @Test func aColumnOfSplitsKeepsTestImagesApart() throws {
        let table = "path,label,Usage\n1,ant,Training\n2,bee,test\n3,ant,val\n"
        try folder.write("t.csv", table)
        let path = folder["t.csv"]
        #expect(try items(LabelledImages(path, for: .training)) == ["1 ant"])
        #expect(try items(LabelledImages(path, for: .validation)) == ["3 ant"])
        let measured = try LabelledImages(measuredOn: path)
        #expect(items(measured) == ["2 bee"])
        #expect(measured.notes == ["\(path): only its test images are measured on"])
        // One value alone in a column of another name says nothing about splits.
        #expect(try items(read("path,label,seen\n1,ant,test\n2,bee,test\n")) == ["1 ant", "2 bee"])
        try folder.write("t.csv", "path,label,split\n1,ant,test\n")
        #expect(
            throws: FileError(path: path, reason: "no row belongs to the training images, which are needed here")
        ) { try LabelledImages(path, for: .training) }
    }

    @Test func namesThatDifferByCaseOrSpacesAloneAreTold() throws {
        #expect(try read("path,label\n1,ant\n2,\"ant \"\n3,bee\n").classes == ["ant", "bee"])
        let images = try read("path,label\n1,River_Lake\n2,river lake\n3,bee\nin/4,BEE\n")
        #expect(images.classes.count == 4)
        #expect(
            images.notes.map(\.text) == [
                "\(folder["t.csv"]): classes that differ by case, spaces or the form of letters alone: "
                    + "\"BEE\" and \"bee\", \"River_Lake\" and \"river lake\""
            ])
        // One letter in two forms of Unicode is one name.
        #expect(try read("path,label\n1,caf\u{E9}\n2,cafe\u{301}\n").classes.count == 1)
        #expect(ClassName.warning(of: ["ant", "ants", "aunt"]) == nil)
        #expect(ClassName.warning(of: ["ＡＢ", "ab"]) != nil && ClassName.trimmed("\u{FEFF} a b\u{200B}\t") == "a b")
    }
}
