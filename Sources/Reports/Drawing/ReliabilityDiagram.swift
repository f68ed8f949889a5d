import Evaluation

/// Accuracy by confidence: a model that knows how often it is right has its bars end on the diagonal.
struct ReliabilityDiagram {
    let calibration: ConfidenceCalibration
    /// Words for those who do not see the picture.
    let description: String

    /// The picture: a bar for each bin that has answers, the gap to its mean confidence, and below it how many answers
    /// are in each bin.
    func drawn() -> HTML {
        let frame = ChartFrame(
            width: 360, height: 300, horizontal: .share(""), vertical: .share("right, %"))
        let (top, room) = (frame.height - 22, 44.0)
        let most = calibration.bins.map(\.count).max() ?? 0
        return Drawing.svg(width: frame.width, height: top + room + 40, description: description) {
            frame.axes
            for (index, bin) in calibration.bins.enumerated() {
                if let accuracy = bin.accuracy, let confidence = bin.confidence {
                    let range = calibration.range(index)
                    let (left, right) = (frame.x(range.lowerBound) + 0.5, frame.x(range.upperBound) - 0.5)
                    let note =
                        "\(NumberText.count(bin.count, "answer")), confidence \(NumberText.percent(confidence)), "
                        + "right \(NumberText.percent(accuracy))"
                    let (upper, lower) = (max(accuracy, confidence), min(accuracy, confidence))
                    Drawing.rectangle(
                        left, frame.y(accuracy), right - left, frame.y.from - frame.y(accuracy), "series1", note: note)
                    Drawing.rectangle(
                        left, frame.y(upper), right - left, frame.y(lower) - frame.y(upper),
                        accuracy > confidence ? "gap inside" : "gap",
                        note: note)
                    let tall = room * Double(bin.count) / Double(max(most, 1))
                    Drawing.rectangle(left, top + room - tall, right - left, tall, "histogram", note: note)
                }
            }
            Drawing.line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), "diagonal")
            Drawing.line(frame.x(0), top + room, frame.x(1), top + room, "axis")
            Drawing.text(NumberText.count(most), frame.x.from - 6, top + 10, "tick", anchor: .end)
            Drawing.text(
                "confidence, %, and answers by confidence", (frame.x.from + frame.x.to) / 2, top + room + 20,
                "axis-title", anchor: .middle)
        }
    }
}
