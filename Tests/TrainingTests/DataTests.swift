import Foundation
import Images
import Tensors
import TestSupport
import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// Which images are trained on and which are held back.
@Suite struct TrainingDataTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func write(_ part: String, _ counts: [String: Int]) throws {
        for (name, count) in counts { for index in 0..<count { try folder.write("\(part)/\(name)/\(index).png") } }
    }

    private func data(_ name: String, _ validation: TrainingData.Validation = .usual, seed: UInt64 = 0) throws
        -> TrainingData
    {
        try TrainingData(BytePath(folder.path(name)), validation: validation, seed: seed)
    }

    private func failure(_ name: String, _ validation: TrainingData.Validation = .usual) -> String? {
        do {
            _ = try data(name, validation)
            return nil
        } catch { return "\(error)".replacing("\(folder.path)/", with: "") }
    }

    @Test func foldersTrainAndValAreTheTwoParts() throws {
        try write("d/train", ["b": 3, "a": 2])
        try write("d/val", ["b": 2])
        try write("d/test", ["c": 1])
        let data = try data("d")
        #expect(data.classes == ["a", "b"] && data.training.map(\.class) == [0, 0, 1, 1, 1])
        #expect(data.validation.map(\.class) == [1, 1])
        #expect(failure("d", .fraction(0.2)) == "d/val: has the validation images, so none are held back")
    }

    @Test(arguments: [
        ("Train", "valid", "Test"), ("training", "DEV", "holdout"), ("train_set", "validation", "testing"),
    ])
    func theTwoPartsHaveOneOfTheirUsualNames(training: String, validation: String, test: String) throws {
        try write("d/\(training)", ["b": 3, "a": 2])
        try write("d/\(validation)", ["b": 2])
        try write("d/\(test)", ["a": 1, "b": 1])
        let data = try data("d")
        #expect(data.classes == ["a", "b"] && data.training.count == 5 && data.validation.count == 2)
        #expect((data.training + data.validation).allSatisfy { !"\($0.path)".contains("/\(test)/") })
        try write("e", ["a": 4, "b": 4])
        #expect(try self.data("e", .data(BytePath(folder.path("d")))).validation == data.validation)
    }

    @Test func whatLooksLikeSplitsButIsNoneIsRefused() throws {
        try write("extra/train", ["a": 2, "b": 2])
        try write("extra/models", ["a": 2, "b": 2])
        #expect(failure("extra")?.hasPrefix("extra: looks divided into splits (train), but models is none") == true)
        try write("only/valid", ["a": 2, "b": 2])
        try write("only/test", ["a": 2, "b": 2])
        #expect(
            failure("only")
                == "only: is divided into valid and test, and has no training images: expected a folder train")
        try write("folds/1", ["a": 2, "b": 2])
        try write("folds/2", ["a": 2, "b": 2])
        #expect(failure("folds")?.contains("they look like parts of a data set, not like classes") == true)
    }

    @Test func aFolderTrainAmongOtherClassesIsAClass() throws {
        try write("d", ["train": 4, "plane": 4, "val": 4])
        #expect(try data("d").classes == ["plane", "train", "val"])
    }

    @Test func aPartOfEveryClassIsHeldBack() throws {
        try write("d", ["a": 40, "b": 7, "c": 2, "d": 1])
        let data = try data("d", .fraction(0.25))
        func counts(_ items: [LabelledImages.Item]) -> [Int] {
            (0..<4).map { label in items.count { $0.class == label } }
        }
        #expect(counts(data.validation) == [10, 2, 1, 0] && counts(data.training) == [30, 5, 1, 1])
        #expect(Set(data.training + data.validation).count == 50)
        #expect(data.training == data.training.sorted { ($0.class, "\($0.path)") < ($1.class, "\($1.path)") })
        #expect(try data == self.data("d", .fraction(0.25)))
        #expect(try data.validation != self.data("d", .fraction(0.25), seed: 1).validation)
        #expect(try counts(self.data("d").validation) == [4, 1, 1, 0])
        #expect(try self.data("d", .fraction(0)).validation == [])
    }

    @Test func validationImagesCanBeNamedApart() throws {
        try write("d", ["a": 3, "b": 3])
        try write("e", ["b": 2])
        try folder.write("v.csv", "path,label\nd/a/0.png,a\n")
        #expect(try data("d", .data(BytePath(folder.path("e")))).validation.map(\.class) == [1, 1])
        #expect(try data("d", .data(BytePath(folder.path("v.csv")))).validation.map(\.class) == [0])
    }

    @Test func dataThatCannotBeTrainedOnAreRefused() throws {
        try write("one", ["a": 3])
        #expect(failure("one") == "one: only one class, \"a\"; expected at least two")
        try write("only/train", ["a": 1, "b": 1])
        try write("only/val", ["a": 1, "c": 1, "d": 1])
        #expect(failure("only") == "only/val: classes without training images: c, d")
        try write("empty/train", ["a": 1, "b": 1])
        try folder.createFolder("empty/val/a")
        #expect(failure("empty") == "empty/val/a: the class has no images")
        try folder.write("t.csv", "path,label\nx,a\ny,b\n")
        #expect(failure("t.csv")?.hasPrefix("t.csv: 2 of 2 files are not there: x, y; looked in ") == true)
        try folder.write("s.csv", "path,label,split\nd/a,a,train\nd/b,b,train\nd/c,a,val\nd/d,b,test\n")
        for name in ["a", "b", "c", "d"] { try folder.write("d/\(name)") }
        let divided = try data("s.csv")
        #expect(divided.training.map { "\($0.path)".suffix(1) } == ["a", "b"])
        #expect(divided.validation.map { "\($0.path)".suffix(1) } == ["c"])
        #expect(failure("gone") == "gone: No such file or directory")
    }
}

/// What becomes of pictures at random.
@Suite struct AugmentationTests {
    private func views(_ augmentation: Augmentation, seed: UInt64 = 5) -> [Augmentation.View] {
        (0..<200).map { image in
            var generator = SplitMix64.augmentation(seed: seed, epoch: 3, image: image)
            return augmentation.view(height: 120, width: 160, shown: (120, 160), &generator)
        }
    }

    @Test func cropsKeepTheirAreaAndLieWithinThePicture() {
        let views = views(Augmentation(crops: true, flips: true, smallestArea: 0.4))
        for view in views {
            #expect(view.rows.lowerBound >= 0 && view.rows.upperBound <= 120 && !view.rows.isEmpty)
            #expect(view.columns.lowerBound >= 0 && view.columns.upperBound <= 160 && !view.columns.isEmpty)
            let area = Double(view.rows.count * view.columns.count) / (120 * 160)
            #expect(area > 0.37 && area <= 1)
        }
        #expect(Set(views.map(\.rows.count)).count > 50 && Set(views.map(\.rows.lowerBound)).count > 20)
        #expect((70...130).contains(views.count(where: \.isMirrored)))
    }

    @Test func theSameSeedAndImageGiveTheSameView() {
        let augmentation = Augmentation(crops: true, flips: true)
        #expect(views(augmentation) == views(augmentation) && views(augmentation) != views(augmentation, seed: 6))
        // Mirroring is drawn after the crop, so that it does not move it.
        let still = views(Augmentation(crops: true))
        #expect(zip(still, views(augmentation)).allSatisfy { $0.rows == $1.rows && $0.columns == $1.columns })
        #expect(still.allSatisfy { !$0.isMirrored })
    }

    @Test func picturesKeepTheSizeThatCropsNeed() {
        let augmentation = Augmentation(crops: true, smallestArea: 0.25)
        let input = ImageSize(height: 64, width: 64)
        func size(_ height: Int, _ width: Int, _ detail: Double) -> ImageSize {
            augmentation.neededSize(
                of: RGBImage(width: width, height: height, pixels: [UInt8](repeating: 0, count: width * height * 3)),
                shown: (Double(height), Double(width)), input: input, detail: detail)
        }
        #expect(size(100, 200, 2) == ImageSize(height: 100, width: 200))
        #expect(size(512, 1024, 2) == ImageSize(height: 256, width: 512))
        #expect(size(512, 1024, 0.5) == ImageSize(height: 64, width: 128))
    }

    @Test func mirroringTwiceGivesThePictureBack() {
        let pixels = (0..<5 * 3 * 3).map { UInt8($0 * 5 % 251) }
        let picture = RGBImage(width: 5, height: 3, pixels: pixels)
        #expect(picture.mirrored() != picture && picture.mirrored().mirrored() == picture)
        #expect(Array(picture.mirrored().pixels[..<3]) == Array(pixels[12..<15]))
    }

    @Test func randomOrdersHaveEveryNumberOnce() {
        var generator = SplitMix64.order(seed: 1, epoch: 0)
        let order = generator.permutation(1000)
        #expect(order.sorted() == Array(0..<1000) && order != Array(0..<1000))
        var other = SplitMix64.order(seed: 1, epoch: 1)
        #expect(other.permutation(1000) != order)
    }
}
