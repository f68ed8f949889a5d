import Tensors
import Testing

@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training

/// Which images with several labels are held back.
@Suite struct LabelSplitTests {
    private static let sets = [[], [0], [0, 1], [1, 2], [2], [3], [0, 3]]

    private func split(
        _ counts: [Int], fraction: Double, seed: UInt64 = 0
    ) -> (training: [LabelledImages.Item], validation: [LabelledImages.Item]) {
        let items = counts.enumerated().flatMap { set, count in
            (0..<count).map { LabelledImages.Item(path: BytePath("\(set)-\($0)"), class: set) }
        }
        return StratifiedSplit.split(items, sets: Self.sets, classes: 4, fraction: fraction, seed: seed)
    }

    private func counts(_ items: [LabelledImages.Item]) -> [Int] {
        (0..<4).map { label in items.count { Self.sets[$0.class].contains(label) } }
            + [items.count { Self.sets[$0.class].isEmpty }]
    }

    @Test func aPartOfEveryLabelIsHeldBack() {
        let (training, validation) = split([40, 30, 10, 20, 40, 10, 0], fraction: 0.2)
        let held = counts(validation)
        // Of the labels 0 to 3 there are 40, 30, 60 and 10 images; 40 have none.
        #expect(held[1] == 6 && held[3] == 2 && held[4] == 8)
        #expect((8...9).contains(held[0]) && (12...14).contains(held[2]))
        #expect(training.count + validation.count == 150)
        #expect(Set(training + validation).count == 150)
        let again = split([40, 30, 10, 20, 40, 10, 0], fraction: 0.2)
        #expect(again.validation == validation && again.training == training)
        #expect(split([40, 30, 10, 20, 40, 10, 0], fraction: 0.2, seed: 1).validation != validation)
    }

    @Test func aLabelKeepsAnImageToLearnFrom() {
        for seed in 0..<20 as Range<UInt64> {
            let (training, validation) = split([2, 1, 1, 1, 1, 0, 2], fraction: 0.9, seed: seed)
            #expect(counts(training).allSatisfy { $0 > 0 })
            #expect(counts(validation)[3] == 1)
        }
    }

    @Test func aSingleImageIsTrainedOn() {
        let (training, validation) = split([0, 5, 0, 0, 0, 1, 0], fraction: 0.5)
        #expect(counts(training) == [2, 0, 0, 1, 0] && counts(validation) == [3, 0, 0, 0, 0])
    }

    /// Where every image has one label, it is the split of classes.
    @Test func withOneLabelEachItIsTheSplitOfClasses() {
        let items = (0..<40).map { LabelledImages.Item(path: BytePath("\($0)"), class: $0 % 3) }
        let one = StratifiedSplit.split(items, classes: 3, fraction: 0.2, seed: 5)
        let other = StratifiedSplit.split(items, sets: [[0], [1], [2]], classes: 3, fraction: 0.2, seed: 5)
        #expect(one.training == other.training && one.validation == other.validation)
    }
}
