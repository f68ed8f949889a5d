/// Average precision: how well scores put the images that show a class before those that do not.
///
/// AP = Σ (R_n − R_{n−1})·P_n over the thresholds n from the highest score to the lowest, with the precision P_n and
/// the recall R_n of all images at or above the threshold: no interpolation, and images of equal score count together,
/// as scikit-learn's `average_precision_score` has it.
struct AveragePrecision {
    /// The images by falling score.
    private let order: [Int32]
    /// Whether each shows the class, in that order.
    private let isPositive: [Bool]
    /// Whether each is the last of those with its score, in that order.
    private let endsGroup: [Bool]

    /// Sorts the images of one class.
    ///
    /// - Parameters:
    ///   - scores: one per image, finite.
    ///   - isPositive: whether each image shows the class; as many as there are scores.
    init(scores: [Double], isPositive: [Bool]) {
        let places = scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }
        order = places.map(Int32.init)
        self.isPositive = places.map { isPositive[$0] }
        endsGroup = places.indices.map { $0 + 1 == places.count || scores[places[$0 + 1]] != scores[places[$0]] }
    }

    /// The average precision; nil when no image shows the class.
    var value: Double? { value { _ in 1 } }

    /// The average precision of a sample of the images; nil when no image of it shows the class.
    ///
    /// - Parameter count: how often the sample holds each image.
    func value(_ count: (Int) -> Int) -> Double? {
        var (sum, seen, found, credited) = (0.0, 0, 0, 0)
        for place in order.indices {
            let weight = count(Int(order[place]))
            seen += weight
            if isPositive[place] { found += weight }
            guard endsGroup[place], found > credited else { continue }
            sum += Double(found - credited) * Double(found) / Double(seen)
            credited = found
        }
        return found == 0 ? nil : sum / Double(found)
    }
}

/// The mean average precision of some images: the mean over the classes that at least one image shows.
///
/// - Parameters:
///   - scores: a row per image of a finite score per class.
///   - labels: the classes that each image shows.
/// - Returns: nil when no image shows a class.
package func meanAveragePrecision(scores: [[Double]], labels: [[Int]]) -> Double? {
    let values = (0..<(scores.first?.count ?? 0)).compactMap { label in
        AveragePrecision(scores: scores.map { $0[label] }, isPositive: labels.map { $0.contains(label) }).value
    }
    return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
}
