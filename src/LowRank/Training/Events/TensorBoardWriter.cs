using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace LowRank.Training.Events;

/// <summary>Writes a run's progress as event files that TensorBoard can show during the run.</summary>
/// <remarks>Tags: <c>train/loss, train/grad_norm, train/learning_rate, train/tokens_per_second, train/memory_bytes</c>,
/// <c>eval/loss</c> and the task's metrics as <c>eval/NAME</c>, and <c>generations/N</c> for generated texts. Each
/// event reaches the file immediately. A resumed run starts a new file, as TensorBoard expects, which invalidates the
/// earlier events of repeated steps. Readers skip a record that was cut off when the run was killed.</remarks>
/// <param name="folder">The folder for the files; created if needed.</param>
/// <param name="time">The clock; null for the system's.</param>
/// <param name="waits">Waits while the disk is full; null does not.</param>
public sealed class TensorBoardWriter(string folder, TimeProvider? time = null, StorageWait? waits = null)
    : ITrainingObserver, IDisposable
{
    private const string Prefix = "events.out.tfevents.";

    private readonly TimeProvider time = time ?? TimeProvider.System;
    private FileStream? stream;

    private double Now => (time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;

    /// <inheritdoc/>
    /// <exception cref="RunStorageException">The file cannot be written.</exception>
    public void Started(TrainingPlan plan)
    {
        Guard(() =>
        {
            Directory.CreateDirectory(folder);
            stream = new FileStream(
                Path.Combine(folder, NextName()), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
        });
        Write(EventMessage.Version(Now));
        if (plan.ResumedFrom is { } step) Write(EventMessage.Restart(Now, step + 1));
    }

    /// <inheritdoc/>
    public void Stepped(TrainingStep step)
    {
        List<ProtoMessage> values =
        [
            EventMessage.Scalar("train/loss", step.Loss),
            EventMessage.Scalar("train/grad_norm", step.GradientNorm),
            EventMessage.Scalar("train/learning_rate", step.LearningRate),
            EventMessage.Scalar("train/tokens_per_second", step.TokensPerSecond),
        ];
        if (step.MemoryBytes is { } memory) values.Add(EventMessage.Scalar("train/memory_bytes", memory));
        Write(EventMessage.Measured(Now, step.Step, values));
    }

    /// <inheritdoc/>
    public void Evaluated(EvaluationResult evaluation) => Write(EventMessage.Measured(Now, evaluation.Step,
    [
        EventMessage.Scalar("eval/loss", evaluation.Loss),
        .. evaluation.Metrics.Where(metric => metric.Value is not null)
        .Select(metric => EventMessage.Scalar("eval/" + metric.Key, metric.Value.GetValueOrDefault())),
        .. evaluation.Generations.Select(
            (text, place) =>
            EventMessage.Text($"generations/{place + 1}", $"{Verbatim(text.Prompt)}\n\n→\n\n{Verbatim(text.Text)}")),
    ]));

    /// <inheritdoc/>
    public void Saving(long step) => Guard(() => stream!.Flush(flushToDisk: true));

    /// <inheritdoc/>
    public void Finished(TrainingResult result) => Saving(result.Steps);

    /// <inheritdoc/>
    public void Dispose() => stream?.Dispose();

    // An indented Markdown block, because generated text is not markup.
    private static string Verbatim(string text) => "    " + text.ReplaceLineEndings("\n    ");

    // Readers sort files by name: this makes a run that resumes within the same second come after the earlier one.
    private string NextName()
    {
        long earlier = Directory.GetFiles(folder, Prefix + "*")
            .Max(file => long.TryParse(
                Path.GetFileName(file)[Prefix.Length..].Split('.')[0], CultureInfo.InvariantCulture, out long seconds)
                ? seconds : (long?)null) ?? 0;
        return string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Math.Max((long)Now, earlier + 1):d10}.lowrank");
    }

    private void Write(ProtoMessage message) =>
        Guard(() => IO.AtomicFile.Append(
            stream ?? throw new InvalidOperationException("The run has not started."),
            EventRecord.Of(message.ToArray())));

    private void Guard(Action work) => RunStorageException.Guard(stream?.Name ?? folder, work, waits);
}

/// <summary>TensorFlow's record: length, its checksum, the bytes, their checksum.</summary>
internal static class EventRecord
{
    // a checksum of bytes that contain checksums would be weak, so TensorFlow rotates it and adds this
    private const uint MaskDelta = 0xa282ead8;

    /// <summary>The bytes of a record.</summary>
    public static byte[] Of(ReadOnlySpan<byte> content)
    {
        var record = new byte[8 + 4 + content.Length + 4];
        BinaryPrimitives.WriteUInt64LittleEndian(record, (ulong)content.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), MaskedChecksum(record.AsSpan(0, 8)));
        content.CopyTo(record.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(12 + content.Length), MaskedChecksum(content));
        return record;
    }

    /// <summary>CRC-32C (Castagnoli), masked.</summary>
    public static uint MaskedChecksum(ReadOnlySpan<byte> content)
    {
        uint checksum = ~0u;
        foreach (byte value in content) checksum = BitOperations.Crc32C(checksum, value);
        return BitOperations.RotateRight(~checksum, 15) + MaskDelta;
    }
}

/// <summary>The messages of TensorBoard's event files (tensorboard/compat/proto/event.proto and
/// summary.proto).</summary>
internal static class EventMessage
{
    private const int WallTime = 1, Step = 2, FileVersion = 3, Summary = 5, SessionLog = 7; // of Event
    // of SessionLog.SessionStatus
    private const int SessionStart = 1;
    private const int Tag = 1, SimpleValue = 2, Tensor = 8, Metadata = 9;                   // of Summary.Value
    private const int StringType = 7, TensorClass = 2;                                      // of DataType and DataClass

    /// <summary>The first event of a file.</summary>
    public static ProtoMessage Version(double time) =>
        new ProtoMessage().Double(WallTime, time).Text(FileVersion, "brain.Event:2");

    /// <summary>Marks a resumed run: invalidates what earlier files contain from this step on.</summary>
    public static ProtoMessage Restart(double time, long step) =>
        new ProtoMessage().Double(WallTime, time).Whole(Step, step)
            .Message(SessionLog, new ProtoMessage().Whole(1, SessionStart));

    /// <summary>The measurements of a step.</summary>
    /// <param name="time">Seconds since 1970.</param>
    /// <param name="step">The step, from 0.</param>
    /// <param name="values">Values from <see cref="Scalar"/> and <see cref="Text"/>.</param>
    public static ProtoMessage Measured(double time, long step, IEnumerable<ProtoMessage> values)
    {
        var summary = new ProtoMessage();
        foreach (ProtoMessage value in values) summary.Message(1, value);
        return new ProtoMessage().Double(WallTime, time).Whole(Step, step).Message(Summary, summary);
    }

    /// <summary>A number.</summary>
    public static ProtoMessage Scalar(string tag, double value) =>
        new ProtoMessage().Text(Tag, tag).Float(SimpleValue, (float)value);

    /// <summary>A text, which the page shows as Markdown.</summary>
    public static ProtoMessage Text(string tag, string markdown) => new ProtoMessage().Text(Tag, tag)
        .Message(Tensor, new ProtoMessage().Whole(1, StringType)
        .Message(2, new ProtoMessage().Message(2, new ProtoMessage().Whole(1, 1))).Text(8, markdown))
        .Message(Metadata, new ProtoMessage().Message(1, new ProtoMessage().Text(1, "text")).Whole(4, TensorClass));
}

/// <summary>A message in protobuf's wire format (https://protobuf.dev/programming-guides/encoding), written field by
/// field.</summary>
internal sealed class ProtoMessage
{
    private const int VarintKind = 0, Fixed64Kind = 1, LengthKind = 2, Fixed32Kind = 5;

    private readonly List<byte> bytes = [];

    /// <summary>The bytes of the message.</summary>
    public byte[] ToArray() => [.. bytes];

    /// <summary>A whole number or an enum's value.</summary>
    public ProtoMessage Whole(int field, long value) => Key(field, VarintKind).Varint((ulong)value);

    public ProtoMessage Double(int field, double value)
    {
        Key(field, Fixed64Kind);
        Span<byte> fixedBytes = stackalloc byte[8];
        BinaryPrimitives.WriteDoubleLittleEndian(fixedBytes, value);
        bytes.AddRange(fixedBytes);
        return this;
    }

    public ProtoMessage Float(int field, float value)
    {
        Key(field, Fixed32Kind);
        Span<byte> fixedBytes = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(fixedBytes, value);
        bytes.AddRange(fixedBytes);
        return this;
    }

    public ProtoMessage Text(int field, string value) => Bytes(field, Encoding.UTF8.GetBytes(value));

    public ProtoMessage Message(int field, ProtoMessage value) => Bytes(field, value.ToArray());

    private ProtoMessage Bytes(int field, byte[] value)
    {
        Key(field, LengthKind).Varint((ulong)value.Length);
        bytes.AddRange(value);
        return this;
    }

    private ProtoMessage Key(int field, int kind) => Varint((ulong)(field << 3 | kind));

    private ProtoMessage Varint(ulong value)
    {
        for (; value >= 0x80; value >>= 7) bytes.Add((byte)(value | 0x80));
        bytes.Add((byte)value);
        return this;
    }
}
