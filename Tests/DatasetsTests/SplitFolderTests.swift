import Glibc
import TestSupport
import Testing

@testable import Datasets
@testable import Files

/// What is a folder of splits, what is one of classes, and what is neither.
@Suite struct SplitFolderTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test(arguments: [
        ("train", DataSplit.training), ("Training", .training), ("TRAIN_SET", .training), ("train-set", .training),
        ("Train Set", .training), ("trainset", .training), ("TrainSet", .training), ("train_images", .training),
        ("images-train", .training), ("train2017", .training), ("val", .validation), ("Valid", .validation),
        ("validation", .validation), ("VALIDATION_SET", .validation), ("dev", .validation), ("eval", .validation),
        ("evaluation-set", .validation), ("test", .test), ("Testing", .test), ("test_set", .test), ("testset", .test),
        ("holdout", .test), ("Hold-Out", .test), ("hold_out_set", .test), ("test1", .test),
    ])
    func usualNamesOfSplitsAreKnown(name: String, split: DataSplit) {
        #expect(DataSplit(name: name) == split)
    }

    @Test(arguments: [
        "trainer", "trains", "valley", "devil", "evaluator", "contest", "latest", "attest", "set", "2017", "", "images",
        "seg_train", "bullet train", "test tube", "crash-test", "daisy",
    ])
    func otherNamesAreNot(name: String) { #expect(DataSplit(name: name) == nil) }

    /// Writes a picture into each of the folders. Returns the splits, or the reason of a refusal; nil for classes.
    private func look(_ folders: [String], _ classesAreKnown: Bool = false) throws -> String? {
        for name in folders { try folder.write("d/\(name)/1.png") }
        do throws(FileError) {
            return try SplitFolder(folder["d"], classesAreKnown: classesAreKnown)?.description
        } catch { return error.description.replacing("\(folder.path)/", with: "") }
    }

    @Test(arguments: [
        (["train/a", "train/b", "valid/a"], "train and valid"),
        (["Test/a", "Train/a", "dev/a"], "Train, dev and Test"),
        (["Testing/a", "Training/a"], "Training and Testing"),
        (["test/a", "valid/b"], "valid and test"),
        (["train/a", "test"], "train and test"),
        (["train", "test"], "train and test"),
    ])
    func foldersOfSplitsAreUnderstood(folders: [String], expected: String) throws {
        #expect(try look(folders) == expected)
    }

    @Test(arguments: [
        ["daisy", "roses"], ["train", "bus", "car"], ["test", "val", "dirt"], ["train", "bus/city", "bus/coach"],
        ["crash test", "seg_train"], ["deer/site1", "deer/site2", "fox/site1"], ["vehicle/train", "vehicle/bus"],
    ])
    func foldersOfPicturesAreClasses(folders: [String]) throws { #expect(try look(folders) == nil) }

    @Test(arguments: [
        (["train/a", "models/a"], "(train), but models is none"),
        (["train/a", "valid/a", "extra"], "(train and valid), but extra is none"),
        (["train/a", "bus/a", "car/a"], "(train), but bus, car are none"),
        (
            ["seg_train/a", "seg_test/a", "seg_pred"],
            "(seg_test and seg_train), but seg_pred, seg_test, seg_train are none"
        ),
        (["val/a", "valid/a", "train/a"], "val and valid are two names for the validation images"),
        (["test/a", "holdout/a", "train/a"], "holdout and test are two names for the test images"),
        (["daisy/train", "daisy/test", "roses/train"], "d/daisy is divided into test and train itself"),
        (["corn/train/a", "corn/test/a", "birds/val/a"], "d/corn is divided into test and train itself"),
        (["images/x/train", "images/x/val"], "d/images/x is divided into train and val itself"),
    ])
    func whatLooksDividedIsRefusedByName(folders: [String], expected: String) throws {
        let reason = try #require(try look(folders))
        #expect(reason.hasPrefix("d") && reason.contains(expected), "\(reason)")
    }

    @Test func classesThatAreKnownMayHaveNamesOfSplits() throws {
        #expect(try look(["train/a", "bus/a"], true) == nil)
        #expect(
            try look(["bus/train/a", "bus/test/a"], true) == "d: d/bus is divided into test and train itself: "
                + "give the folder of one data set, with its images in train/<class>, val/<class> and test/<class>")
    }

    @Test func partsOfADataSetAreNoClasses() throws {
        func reason(_ name: String) -> String? {
            do throws(FileError) {
                try SplitFolder.checkClasses(of: folder[name])
                return nil
            } catch { return error.description }
        }
        for name in ["a/fold1/x/1", "a/fold1/y/1", "a/fold2/x/1", "a/fold2/y/1"] { try folder.write(name) }
        #expect(reason("a")?.contains("its folders (fold1, fold2) all contain the same folders (x, y)") == true)
        try folder.write("a/fold2/1.png")
        #expect(reason("a") == nil)
        for name in ["b/deer/s1/1", "b/deer/s2/1", "b/fox/s1/1"] { try folder.write(name) }
        #expect(reason("b") == nil && reason("b/deer") == nil && reason("none") == nil)
    }

    @Test func ofAFolderOfSplitsTheTestImagesAreMeasuredOn() throws {
        #expect(try look(["train/a", "valid/b", "Test/c"]) == "train, valid and Test")
        let test = try LabelledImages(measuredOn: folder["d"])
        #expect(test.classes == ["c"] && test.source == folder["d/Test"])
        #expect(
            test.notes.map(\.text) == [
                "\(folder["d"]) is divided into train, valid and Test; only the images of \(folder["d/Test"]) are "
                    + "measured on"
            ])
        #expect(try LabelledImages(measuredOn: folder["d/Test"]).notes.isEmpty)
        for name in ["v/train/a/1", "v/dev/b/1", "t/train/a/1"] { try folder.write(name) }
        #expect(try LabelledImages(measuredOn: folder["v"]).classes == ["b"])
        #expect(
            throws: FileError(
                path: folder["t"], reason: "is divided into train, and has no test images: expected a folder test")
        ) { try LabelledImages(measuredOn: folder["t"]) }
        let splits = try #require(try SplitFolder(folder["d"]))
        #expect(try splits.required(.validation) == folder["d/valid"])
        try folder.write("e/test/a/1")
        #expect(
            throws: FileError(
                path: folder["e"],
                reason: "is divided into test, and has no training images: expected a folder train")
        ) { try #require(try SplitFolder(folder["e"])).required(.training) }
    }
}
