using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using Google.Protobuf;
using Tensorboard;

namespace LowRank.Training;

/// <summary>Writes a run's progress as event files that TensorBoard can show during the run.</summary>
/// <remarks>Tags: <c>train/loss, train/grad_norm, train/learning_rate, train/tokens_per_second, train/memory_bytes</c>,
/// <c>eval/loss</c> and the task's metrics as <c>eval/NAME</c>, and <c>generations/N</c> for generated texts. Each
/// event reaches the file immediately. A resumed run starts a new file, as TensorBoard expects, which invalidates the
/// earlier events of repeated steps. Readers skip a record that was cut off when the run was killed.</remarks>
/// <param name="folder">The folder for the files; created if needed.</param>
/// <param name="time">The clock; null for the system's.</param>
/// <param name="waits">Waits while the disk is full; null does not.</param>
internal sealed class TensorBoardWriter(string folder, TimeProvider? time = null, StorageWait? waits = null)
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
        Write(new Event { FileVersion = "brain.Event:2" });
        if (plan.ResumedFrom is { } step)
            Write(new Event
            {
                Step = step + 1, SessionLog = new SessionLog { Status = SessionLog.Types.SessionStatus.Start },
            });
    }

    /// <inheritdoc/>
    public void Stepped(TrainingStep step)
    {
        List<Summary.Types.Value> values =
        [
            Number("train/loss", step.Loss),
            Number("train/grad_norm", step.GradientNorm),
            Number("train/learning_rate", step.LearningRate),
            Number("train/tokens_per_second", step.TokensPerSecond),
        ];
        if (step.MemoryBytes is { } memory) values.Add(Number("train/memory_bytes", memory));
        values.AddRange(step.Metrics.Where(metric => metric.Value is not null)
            .Select(metric => Number("train/" + metric.Key, metric.Value.GetValueOrDefault())));
        Write(new Event { Step = step.Step, Summary = new Summary { Value = { values } } });
    }

    /// <inheritdoc/>
    public void Evaluated(EvaluationResult evaluation)
    {
        Summary.Types.Value[] values =
        [
            Number("eval/loss", evaluation.Loss),
            .. evaluation.Metrics.Where(metric => metric.Value is not null)
                .Select(metric => Number("eval/" + metric.Key, metric.Value.GetValueOrDefault())),
            .. evaluation.Generations.Select((text, place) => Markdown(
                $"generations/{place + 1}", $"{Verbatim(text.Prompt)}\n\n→\n\n{Verbatim(text.Text)}")),
        ];
        Write(new Event { Step = evaluation.Step, Summary = new Summary { Value = { values } } });
    }

    /// <inheritdoc/>
    public void Saving(long step) => Guard(() => stream!.Flush(flushToDisk: true));

    /// <inheritdoc/>
    public void Finished(TrainingResult result) => Saving(result.Steps);

    /// <inheritdoc/>
    public void Dispose() => stream?.Dispose();

    private static Summary.Types.Value Number(string tag, double value) =>
        new() { Tag = tag, SimpleValue = (float)value };

    private static Summary.Types.Value Markdown(string tag, string text) => new()
    {
        Tag = tag,
        Tensor = new TensorProto
        {
            Dtype = DataType.DtString,
            TensorShape = new TensorShapeProto { Dim = { new TensorShapeProto.Types.Dim { Size = 1 } } },
            StringVal = { ByteString.CopyFromUtf8(text) },
        },
        Metadata = new SummaryMetadata
        {
            PluginData = new SummaryMetadata.Types.PluginData { PluginName = "text" }, DataClass = DataClass.Tensor,
        },
    };

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

    private void Write(Event message)
    {
        message.WallTime = Now;
        Guard(() => IO.AtomicFile.Append(
            stream ?? throw new InvalidOperationException("The run has not started."),
            EventRecord.Of(message.ToByteArray())));
    }

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
