/// Images of one task in groups of images that are alike, such as the frames of one object. A group is fitted or held
/// out as a whole: the frame beside a fitted one tells nothing about images that were not seen.
package struct ImageGroups: Sendable, Equatable {
    /// What tells which images are alike.
    package enum Rule: Sendable, Equatable {
        /// Nothing: every image is a group of its own.
        case none
        /// A regular expression: images are alike for which its capture group has the same text.
        case name(pattern: String)
        /// Features of the base: images are alike if the cosine of their centred features is at least this.
        case features(cosine: Double)
    }

    /// What tells which images are alike.
    package let rule: Rule
    /// The group of each image. Groups are numbered in the order of their first images.
    package let groups: [Int]
    /// How many groups there are.
    package let count: Int

    /// One image in this many is held out, nearly: ridges and scales are chosen on those.
    package static let holdOutEvery = 5

    /// Every image in a group of its own.
    package init(alone count: Int) { self.init(.none, labels: 0..<count) }

    /// Images that are alike if their labels are equal.
    package init<Label: Hashable>(_ rule: Rule, labels: some Sequence<Label>) {
        var numbers: [Label: Int] = [:]
        self.rule = rule
        groups = labels.map { label in
            if let number = numbers[label] { return number }
            numbers[label] = numbers.count
            return numbers.count - 1
        }
        count = numbers.count
    }

    /// Which images are held out: about one in `holdOutEvery`, and of groups of their own exactly every fifth.
    ///
    /// Groups are visited from the largest to the smallest, those of like size (within a factor of 2) in the order of
    /// their images, and every fifth is held out. After each size the share is set anew, so that small groups make up
    /// for what large ones left.
    package var heldOut: [Bool] {
        var sizes = [Int](repeating: 0, count: count)
        for group in groups { sizes[group] += 1 }
        let bySize = Dictionary(grouping: sizes.indices) { Int.bitWidth - sizes[$0].leadingZeroBitCount }
        var isHeldOut = [Bool](repeating: false, count: count)
        var (left, held, begun) = (groups.count, 0, 0.0)
        for size in bySize.keys.sorted(by: >) {
            let alike = bySize[size] ?? []
            let wanted = max(groups.count - Self.holdOutEvery * held, 0)
            func place(_ index: Int) -> Double {
                begun + min(Double(index * wanted) / Double(Self.holdOutEvery * left), Double(index))
            }
            for (index, group) in alike.enumerated() where place(index + 1).rounded(.down) > place(index).rounded(.down)
            {
                isHeldOut[group] = true
            }
            begun = place(alike.count)
            begun -= begun.rounded(.down)
            held += alike.reduce(0) { $0 + (isHeldOut[$1] ? sizes[$1] : 0) }
            left -= alike.reduce(0) { $0 + sizes[$1] }
        }
        return groups.map { isHeldOut[$0] }
    }

    // MARK: As text

    /// The groups of more than one image, each as the ranges of its images: "0-3 7".
    package var texts: [String] {
        var members = [[Int]](repeating: [], count: count)
        for (image, group) in groups.enumerated() { members[group].append(image) }
        return members.filter { $0.count > 1 }.map { images in
            var ranges: [ClosedRange<Int>] = []
            for image in images {
                if let last = ranges.last, last.upperBound == image - 1 {
                    ranges[ranges.count - 1] = last.lowerBound...image
                } else {
                    ranges.append(image...image)
                }
            }
            return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
                .joined(separator: " ")
        }
    }

    /// The groups that `texts` says; images that are in none are groups of their own. Nil for other texts.
    package init?(_ rule: Rule, texts: [String], count: Int) {
        var labels = Array(0..<count)
        var isNamed = [Bool](repeating: false, count: count)
        for text in texts {
            var first: Int?
            for part in text.split(separator: " ", omittingEmptySubsequences: false) {
                let ends = part.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false).map { Int($0) }
                guard let low = ends[0], let high = ends[ends.count - 1], low >= 0, low <= high, high < count else {
                    return nil
                }
                for image in low...high {
                    guard !isNamed[image] else { return nil }
                    isNamed[image] = true
                    labels[image] = first ?? image
                    first = first ?? image
                }
            }
        }
        self.init(rule, labels: labels)
    }
}
