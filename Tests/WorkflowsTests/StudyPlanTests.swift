import TestSupport
import Testing
import VisionTransformers

@testable import Adapters
@testable import Datasets
@testable import Evaluation
@testable import Files
@testable import Training
@testable import Workflows

@Suite struct StudyPlanTests {
    private let six = ["a", "b", "c", "d", "e", "f"]

    @Test func everySetOfASizeComesOnceInOrder() {
        for count in 0...7 {
            for size in 0...count {
                let subsets = StudyPlan.subsets(of: count, size: size)
                let expected = (0..<(1 << count)).count { $0.nonzeroBitCount == size }
                #expect(subsets.count == expected && Set(subsets).count == expected)
                #expect(subsets.allSatisfy { $0.count == size && zip($0, $0.dropFirst()).allSatisfy(<) })
                #expect(zip(subsets, subsets.dropFirst()).allSatisfy { $0.lexicographicallyPrecedes($1) })
            }
        }
        #expect(StudyPlan.subsets(of: 3, size: 2) == [[0, 1], [0, 2], [1, 2]])
    }

    @Test func pairsTriplesAndAllAreTheDefault() throws {
        let variants = [try StudyVariant("sum")]
        let plan = try StudyPlan(tasks: six, variants: variants)
        #expect(plan.sizes == [1, 2, 3, 6] && plan.subsets.count == 15 + 20 + 1)
        #expect(plan.subsets.map(\.count) == plan.subsets.map(\.count).sorted())
        #expect(try StudyPlan(tasks: ["a", "b"], variants: variants).subsets == [[0, 1]])
        #expect(try StudyPlan(tasks: six, sizes: [6, 2, 2], variants: variants).sizes == [2, 6])
        for sizes in [[0], [7], [2, -1]] {
            #expect(throws: StudyPlanError.self) { try StudyPlan(tasks: six, sizes: sizes, variants: variants) }
        }
        let many = (0..<40).map { "\($0)" }
        #expect(throws: StudyPlanError.sizes("more than 100000 merges")) {
            try StudyPlan(tasks: many, sizes: [20], variants: variants)
        }
    }

    @Test func variantsThatShareAMergeAreMadeTogether() throws {
        let names = ["sum", "regmean+tune", "sum+tune+align", "sum+tune", "sum"]
        let plan = try StudyPlan(tasks: ["a", "b"], variants: try names.map { try StudyVariant($0) })
        #expect(plan.variants.map(\.name) == Array(names.dropLast()))
        #expect(
            plan.merges.map { $0.variants.map(\.name) } == [["sum", "sum+tune+align", "sum+tune"], ["regmean+tune"]])
    }

    @Test func variantsAreReadFromTheirNames() throws {
        for name in ["sum", "core-tsv+tune", "ties+align", "base+streams", "regmean+tune+streams+align"] {
            #expect(try StudyVariant(name).name == name)
        }
        #expect(try StudyVariant("sum+align+tune").name == "sum+tune+align")
        #expect(try StudyVariant("sum").tuned.aligned.name == "sum+tune+align")
        for name in ["", "sums", "sum+", "sum+tune+tune", "sum+fast", "+tune", "distill"] {
            #expect(throws: StudyPlanError.self) { try StudyVariant(name) }
        }
    }
}
