namespace LowRank.Training.Events;

/// <summary>The messages of TensorBoard's event files (tensorboard/compat/proto/event.proto and summary.proto).</summary>
internal static class EventMessage
{
    private const int WallTime = 1, Step = 2, FileVersion = 3, Summary = 5, SessionLog = 7; // of Event
    private const int SessionStart = 1;                                                     // of SessionLog.SessionStatus
    private const int Tag = 1, SimpleValue = 2, Tensor = 8, Metadata = 9;                   // of Summary.Value
    private const int StringType = 7, TensorClass = 2;                                      // of DataType and DataClass

    /// <summary>What a file begins with.</summary>
    public static ProtoMessage Version(double time) => new ProtoMessage().Double(WallTime, time).Text(FileVersion, "brain.Event:2");

    /// <summary>A run goes on: what earlier files hold from this step on is void.</summary>
    public static ProtoMessage Restart(double time, long step) =>
        new ProtoMessage().Double(WallTime, time).Whole(Step, step).Message(SessionLog, new ProtoMessage().Whole(1, SessionStart));

    /// <summary>What was measured at a step.</summary>
    /// <param name="time">Seconds since 1970.</param>
    /// <param name="step">From 0.</param>
    /// <param name="values">From <see cref="Scalar"/> and <see cref="Text"/>.</param>
    public static ProtoMessage Measured(double time, long step, IEnumerable<ProtoMessage> values)
    {
        var summary = new ProtoMessage();
        foreach (ProtoMessage value in values) summary.Message(1, value);
        return new ProtoMessage().Double(WallTime, time).Whole(Step, step).Message(Summary, summary);
    }

    /// <summary>A number.</summary>
    public static ProtoMessage Scalar(string tag, double value) => new ProtoMessage().Text(Tag, tag).Float(SimpleValue, (float)value);

    /// <summary>A text, which the page shows as Markdown.</summary>
    public static ProtoMessage Text(string tag, string markdown) => new ProtoMessage().Text(Tag, tag)
        .Message(Tensor, new ProtoMessage().Whole(1, StringType).Message(2, new ProtoMessage().Message(2, new ProtoMessage().Whole(1, 1))).Text(8, markdown))
        .Message(Metadata, new ProtoMessage().Message(1, new ProtoMessage().Text(1, "text")).Whole(4, TensorClass));
}
