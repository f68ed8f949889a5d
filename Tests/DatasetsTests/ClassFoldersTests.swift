import Files
import TestSupport
import Testing

@testable import Datasets

/// Names of class folders.
@Suite struct ClassFoldersTests {
    @Test func safeNamesStayAndOthersAreEscaped() {
        for name in ["rose", "T-shirt/top", "50%", "Ähre 東京", "a.b", "..", ".git", "con", "COM1.x", "a ", " a", "a."] {
            let safe = ClassFolders.safe(name)
            #expect(!safe.contains("/") && !safe.hasPrefix(".") && !safe.hasSuffix(".") && !safe.hasSuffix(" "))
        }
        for name in ["rose", "50%", "Ähre 東京", "a.b", "console", "T-shirt"] { #expect(ClassFolders.safe(name) == name) }
        #expect(ClassFolders.safe("a/b\\c:d") == "a%2Fb%5Cc%3Ad" && ClassFolders.safe("..") == "%2E%2E")
        #expect(ClassFolders.safe("nul.x") == "%6Eul.x" && ClassFolders.safe("Thumbs.db") == "%54humbs.db")
        #expect(ClassFolders.safe("a\u{1}\n") == "a%01%0A" && ClassFolders.safe(" ") == "%20")
        let long =
            [ClassFolders.safe(String(repeating: "ä", count: 300) + "1")] + [
                ClassFolders.safe(String(repeating: "ä", count: 300) + "2")
            ]
        #expect(long[0] != long[1] && long.allSatisfy { $0.utf8.count <= 200 })
    }

    /// Whatever the order, and whatever is added later.
    @Test func noTwoClassesShareAFolder() {
        var folders = ClassFolders()
        folders.add(["rose", "Rose", "a/b", "a%2Fb", "ROSE"])
        #expect(
            folders.names == ["ROSE": "ROSE", "Rose": "Rose~2", "rose": "rose~3", "a%2Fb": "a%2Fb", "a/b": "a%2Fb~2"])
        folders.add(["rosE", "rose"])
        #expect(folders.names["rosE"] == "rosE~4" && folders.names["rose"] == "rose~3")
        #expect(folders.renamed["rose~3"] == "rose" && folders.renamed["ROSE"] == nil)
    }

    @Test func foldersAreReadAsTheirClasses() throws {
        let scratch = try TemporaryFolder()
        var folders = ClassFolders()
        folders.add(["a/b", "A/B", "c", "none"])
        for folder in folders.names.filter({ $0.key != "none" }).values { try scratch.write("\(folder)/1.png") }
        try folders.write(to: scratch["."])
        #expect(try LabelledImages(folder: scratch["."]).classes.sorted() == ["A/B", "a/b", "c"])
        for text in ["{", "[]", "{\"classes\": {\"a\": 1}}"] {
            try scratch.write(ClassFolders.fileName, text)
            #expect(throws: FileError.self) { try LabelledImages(folder: scratch["."]) }
        }
    }
}
