import Files
import TestSupport
import Testing

@testable import Labelling

/// Which pictures a gallery shows.
@Suite struct GallerySelectionTests {
    let scratch: TemporaryFolder

    init() throws { scratch = try TemporaryFolder() }

    private func gallery(
        _ rows: [String], header: String = "path,status,a,a_score",
        _ change: (inout GallerySelection.Settings) -> Void = { _ in }
    ) throws -> Gallery {
        try scratch.write("labels.csv", ([header] + rows).map { $0 + "\n" }.joined())
        var settings = GallerySelection.Settings()
        settings.perClass = 2
        change(&settings)
        var file = try LabelFile(scratch["labels.csv"])
        var selection = GallerySelection(settings)
        while let row = try file.next() { try selection.add(row, of: file, path: scratch["labels.csv"]) }
        try selection.check(file.tasks, path: scratch["labels.csv"])
        return selection.gallery(of: file.tasks)
    }

    private func names(_ tiles: [Gallery.Tile]) -> [String] { tiles.map(\.path.description) }

    @Test func theSurestAndTheLeastSureOfEachClass() throws {
        let scores = [0.5, 0.9, 0.7, 0.9, 0.3, 0.8]
        let rows = scores.enumerated().map { "\($0),ok,x,\($1)" } + ["6,ok,w,0.2", "7,ok,w,0.4", "8,ok,w,0.3"]
        let gallery = try gallery(rows)
        let classes = gallery.tasks[0].classes
        #expect(classes.map(\.name) == ["w", "x"] && classes.map(\.count) == [3, 6] && gallery.pictures == 9)
        // Of equal scores the earlier row; the least sure first.
        #expect(names(classes[1].surest) == ["1", "3"] && names(classes[1].leastSure) == ["4", "0"])
        // Few enough for one list.
        #expect(names(classes[0].surest) == ["7", "8", "6"] && classes[0].leastSure.isEmpty)
    }

    @Test func withheldLabelsAndFailures() throws {
        let rows = [
            "1,below threshold: a,,0.4,0.9", "2,below threshold: a,,0.6,0.8", "3,ok,x,0.9,0.01", "4,ok,x,0.7,0.5",
            "5,error: empty,,,", "6,error: empty,,,", "7,error: not a picture,,,",
        ]
        let header = "path,status,a,a_score,a_fit"
        let plain = try gallery(rows, header: header)
        #expect(plain.failed == 3 && plain.failures.map(\.reason) == ["empty", "not a picture"])
        #expect(plain.failures[0].paths.map(\.description) == ["5", "6"])
        #expect(plain.tasks[0].withheld.map(\.title) == ["below threshold"])
        #expect(names(plain.tasks[0].withheld[0].tiles) == ["2", "1"])
        #expect(plain.tasks[0].leastFit.map { names($0.tiles) } == ["3", "4"])
        let strict = try gallery(rows, header: header) { ($0.minimumScore, $0.minimumFit) = (0.8, 0.05) }
        #expect(strict.tasks[0].withheld.map(\.title) == ["below threshold", "fit below 0.05", "score below 0.8"])
        #expect(strict.tasks[0].withheld[1].tiles.map(\.label) == ["x"] && strict.tasks[0].labelled == 0)
    }

    @Test func aLowestScoreNeedsScores() {
        #expect(throws: FileError.self) { try gallery(["1,ok,x"], header: "path,status,a") { $0.minimumScore = 0.5 } }
        #expect(throws: FileError.self) { try gallery(["1,ok,x,0.5"]) { $0.minimumFit = 0.5 } }
    }

    /// What is chosen does not grow with the rows, except by classes, of which there is a limit.
    @Test func memoryIsThatOfTheChosen() throws {
        let gallery = try gallery((0..<5000).map { "\($0),ok,c\($0 % 10),0.\($0 % 97)" })
        var tiles = 0
        var copy = gallery
        copy.forEachGroup { tiles += $0.count }
        #expect(gallery.pictures == 5000 && tiles == 40)
        #expect(throws: FileError.self) { try self.gallery((0..<20_002).map { "\($0),ok,c\($0),0.5" }) }
    }
}
