import Tensors
import TestSupport
import Testing

@testable import Adapters

@Suite struct ImageGroupsTests {
    private func heldOut(_ sizes: [Int]) -> (images: Int, groups: [Int]) {
        let labels = sizes.enumerated().flatMap { index, size in [Int](repeating: index, count: size) }
        let groups = ImageGroups(.name(pattern: "x"), labels: labels)
        let held = groups.heldOut
        for group in 0..<groups.count {
            let own = zip(groups.groups, held).filter { $0.0 == group }.map(\.1)
            #expect(Set(own).count == 1, "group \(group) is divided")
        }
        return (held.count { $0 }, Set(zip(groups.groups, held).filter(\.1).map(\.0)).sorted())
    }

    @Test(arguments: [0, 1, 4, 5, 12, 99, 1000]) func everyFifthOfImagesAloneIsHeldOut(count: Int) {
        #expect(ImageGroups(alone: count).heldOut == (0..<count).map { $0 % 5 == 4 })
    }

    @Test func aboutAFifthIsHeldOutOfAnySizes() {
        #expect(heldOut([10, 10, 10, 10, 10]).groups == [4])
        #expect(heldOut([100, 1, 1, 1, 1]).images == 4)
        var noise = Noise(state: 5)
        for count in [30, 100, 400] {
            let sizes = (0..<count).map { _ in 1 + Int(30 * abs(noise.next())) }
            let total = sizes.reduce(0, +)
            let held = heldOut(sizes)
            #expect(abs(Double(held.images) / Double(total) - 0.2) < 0.05, "\(count): \(held.images) of \(total)")
            // Neither large groups nor small ones are spared.
            let mean = Double(held.images) / Double(held.groups.count)
            #expect(abs(mean * Double(count) / Double(total) - 1) < 0.35, "\(count): \(mean)")
        }
    }

    /// With five groups or more there is always something on both sides.
    @Test func bothSidesHaveImages() {
        var noise = Noise(state: 8)
        for count in 5...40 {
            let sizes = (0..<count).map { _ in 1 << Int(9 * abs(noise.next())) }
            let held = heldOut(sizes).images
            #expect(held > 0 && held < sizes.reduce(0, +), "\(sizes)")
        }
    }

    @Test func groupsAreWrittenAsRangesAndRead() throws {
        let groups = ImageGroups(.features(cosine: 0.9), labels: [0, 0, 0, 1, 2, 0, 1, 3])
        #expect(groups.count == 4 && groups.groups == [0, 0, 0, 1, 2, 0, 1, 3])
        #expect(groups.texts == ["0-2 5", "3 6"])
        #expect(ImageGroups(.features(cosine: 0.9), texts: groups.texts, count: 8) == groups)
        #expect(ImageGroups(alone: 3).texts.isEmpty)
        for texts in [["0-8"], ["1-0"], ["x"], ["0 "], [""], ["0-1", "1-2"], ["-1"], ["1-"]] {
            #expect(ImageGroups(.none, texts: texts, count: 8) == nil, "\(texts)")
        }
    }

    // MARK: Near-duplicates

    /// Features of noise, of which some rows are nearly those of others.
    private func table(_ rows: Int, copies: [Int: Int], offset: Float) -> FeatureTable {
        var noise = Noise(state: 4)
        var values = (0..<rows).map { _ in (0..<48).map { _ in noise.next() } }
        for (copy, original) in copies.sorted(by: { $0.key < $1.key }) {
            values[copy] = values[original].map { $0 + 0.05 * noise.next() }
        }
        // What all images have in common, and columns that are not looked at.
        return FeatureTable(rows: rows, width: 52, values: values.flatMap { $0.map { $0 + offset } + [9, 9, 9, 9] })
    }

    @Test func imagesWithNearlyTheSameFeaturesAreGrouped() throws {
        let copies = [7: 2, 300: 7, 399: 300, 20: 19]
        let groups = try NearDuplicates.groups(table(400, copies: copies, offset: 50), columns: 48)
        #expect(groups.texts == ["2 7 300 399", "19-20"])
        #expect(groups.rule == .features(cosine: 0.9))
        let near = try NearDuplicates.groups(table(400, copies: copies, offset: 50), columns: 48, reach: 1)
        #expect(near.texts == ["2 7", "19-20", "300 399"])
    }

    @Test func imagesThatAreAllTheSameAreOneGroup() throws {
        let same = FeatureTable(rows: 9, width: 3, values: (0..<27).map { Float($0 % 3) })
        #expect(try NearDuplicates.groups(same, columns: 3).count == 1)
        #expect(try NearDuplicates.groups(FeatureTable(rows: 0, width: 3, values: []), columns: 3).count == 0)
    }
}
