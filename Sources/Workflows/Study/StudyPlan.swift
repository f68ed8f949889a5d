import Adapters
import Training

/// The merges of a study, in their order.
package struct StudyPlan: Sendable {
    /// One merge with its variants, which share the merged task vector, and features at the same scale.
    package struct Merge: Sendable {
        /// The indices of its tasks, ascending.
        package let tasks: [Int]
        /// Variants of one method.
        package let variants: [StudyVariant]
    }

    /// The names of the tasks.
    package let tasks: [String]
    /// The numbers of tasks to merge, ascending.
    package let sizes: [Int]
    /// The variants, without duplicates, in the given order.
    package let variants: [StudyVariant]

    /// The maximum number of merges.
    package static let maximumMerges = 100_000

    /// Plans a study.
    ///
    /// - Parameter sizes: nil for 1, 2, 3 and all tasks.
    /// - Throws: `StudyPlanError.sizes` when a size is not from 1 to the number of tasks, or there are too many merges.
    package init(tasks: [String], sizes: [Int]? = nil, variants: [StudyVariant]) throws(StudyPlanError) {
        let wanted = sizes ?? [1, 2, 3, tasks.count].filter { $0 <= tasks.count }
        if let wrong = wanted.first(where: { !(1...max(tasks.count, 1)).contains($0) }) {
            throw .sizes("\(wrong) is not from 1 to \(tasks.count), the number of tasks")
        }
        self.tasks = tasks
        self.sizes = Set(wanted).sorted()
        var seen: Set<String> = []
        self.variants = variants.filter { seen.insert($0.name).inserted }
        var count = 0
        for size in self.sizes where size > 1 {
            count += Self.subsetCount(of: tasks.count, size, most: Self.maximumMerges)
        }
        guard count * self.variants.count <= Self.maximumMerges else {
            throw .sizes("more than \(Self.maximumMerges) merges")
        }
    }

    /// Every set of tasks to merge: by size, then in lexicographic order.
    package var subsets: [[Int]] { sizes.filter { $0 > 1 }.flatMap { Self.subsets(of: tasks.count, size: $0) } }

    /// Every merge in the order of execution: by tasks, then by method.
    package var merges: [Merge] {
        var groups: [[StudyVariant]] = []
        for variant in variants {
            let index = groups.firstIndex { $0[0].method.name == variant.method.name }
            if let index { groups[index].append(variant) } else { groups.append([variant]) }
        }
        return subsets.flatMap { tasks in groups.map { Merge(tasks: tasks, variants: $0) } }
    }

    /// The sets of `size` of the numbers below `count`, each ascending, in lexicographic order.
    static func subsets(of count: Int, size: Int) -> [[Int]] {
        guard size > 0 else { return [[]] }
        return (0..<count).flatMap { first in
            subsets(of: count - first - 1, size: size - 1).map { [first] + $0.map { $0 + first + 1 } }
        }
    }

    /// The number of such sets, or a number above `most`.
    private static func subsetCount(of count: Int, _ size: Int, most: Int) -> Int {
        var product = 1
        for step in 0..<min(size, count - size) {
            product = product * (count - step) / (step + 1)
            if product > most { break }
        }
        return product
    }
}

/// Why merges cannot be studied.
package enum StudyPlanError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The numbers of tasks to merge.
    case sizes(String)
    /// A method.
    case methods(String)

    /// What is wrong.
    package var description: String {
        switch self {
        case .sizes(let reason), .methods(let reason): reason
        }
    }
}
