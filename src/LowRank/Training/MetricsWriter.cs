using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Training;

/// <summary>Writes a run's progress as JSON Lines.</summary>
/// <remarks>One line per step (<c>step, loss, grad_norm, learning_rate, tokens, tokens_per_second, memory_bytes</c>,
/// and the objective's metrics, such as <c>rewards/margins</c>) and one per evaluation (<c>step, eval_loss,
/// eval_tokens</c> and the task's metrics, each as <c>eval_NAME</c>; for generated texts, <c>generations</c> with
/// <c>prompt</c> and <c>text</c> each). A skipped step has the reason in
/// <c>skipped</c> and the count in <c>skipped_steps</c>; numbers that are not finite are null. Each line reaches the
/// file immediately: a killed run leaves complete lines and at most one torn last line. A resumed run removes that line
/// and all lines of steps that it repeats. Lines are flushed to the disk before a checkpoint, so no line of an earlier
/// step is missing after it.</remarks>
internal sealed class MetricsWriter : ITrainingObserver, IDisposable
{
    private readonly string path;
    private readonly bool resumes;
    private readonly StorageWait? waits;
    private FileStream? stream;

    /// <summary>Opens the file; its folder is created if needed.</summary>
    /// <param name="path">Usually <c>metrics.jsonl</c> in the output folder.</param>
    /// <param name="resume">True appends to the lines of an interrupted run, and leaves the file unchanged until <see
    /// cref="Started"/>; false starts a new file.</param>
    /// <param name="waits">Waits while the disk is full; null does not.</param>
    /// <exception cref="RunStorageException">The file cannot be written.</exception>
    public MetricsWriter(string path, bool resume = false, StorageWait? waits = null)
    {
        (this.path, resumes, this.waits) = (path, resume, waits);
        if (!resume) _ = Opened();
    }

    /// <inheritdoc/>
    public void Started(TrainingPlan plan)
    {
        if (resumes) RunStorageException.Guard(path, () => CutAfter(Opened(), plan.ResumedFrom ?? 0), waits);
    }

    /// <inheritdoc/>
    public void Stepped(TrainingStep step)
    {
        var line = new Dictionary<string, object?>
        {
            ["step"] = step.Step,
            ["loss"] = Number(step.Loss),
            ["grad_norm"] = Number(step.GradientNorm),
            ["learning_rate"] = step.LearningRate,
            ["tokens"] = step.Tokens,
            ["tokens_per_second"] = step.TokensPerSecond,
        };
        if (step.Skipped is { } reason) (line["skipped"], line["skipped_steps"]) = (reason, step.SkippedSteps);
        if (step.MemoryBytes is { } memory) line["memory_bytes"] = memory;
        foreach ((string name, double? value) in step.Metrics) line[name] = Number(value);
        Write(line);
    }

    /// <inheritdoc/>
    public void Evaluated(EvaluationResult evaluation) =>
        Write(new Dictionary<string, object?>([
            KeyValuePair.Create("step", (object?)evaluation.Step),
            KeyValuePair.Create("eval_loss", Number(evaluation.Loss)),
            KeyValuePair.Create("eval_tokens", (object?)evaluation.Tokens),
            .. evaluation.Metrics.Select(metric => KeyValuePair.Create("eval_" + metric.Key, Number(metric.Value))),
            .. evaluation.Generations.Count == 0 ? []
            : new[] { KeyValuePair.Create(
                "generations",
                (object?)evaluation.Generations.Select(text => new { prompt = text.Prompt, text = text.Text })) },
        ]));

    /// <inheritdoc/>
    public void Saving(long step) => RunStorageException.Guard(path, () => Opened().Flush(flushToDisk: true), waits);

    /// <inheritdoc/>
    public void Finished(TrainingResult result) => Saving(result.Steps);

    /// <inheritdoc/>
    public void Dispose() => stream?.Dispose();

    private FileStream Opened() => stream ??= RunStorageException.Guard(path, () =>
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        // Others may read the file during the run.
        return new FileStream(
            path, resumes ? FileMode.OpenOrCreate : FileMode.Create, FileAccess.ReadWrite, FileShare.Read,
            bufferSize: 0);
    }, waits);

    // JSON only has finite numbers.
    private static object? Number(double? value) => value is { } number && double.IsFinite(number) ? number : null;

    // Removes an interrupted run's lines of later steps, and an incomplete line.
    private static long CutAfter(FileStream stream, long step)
    {
        byte[] bytes = new byte[stream.Length];
        stream.Position = 0;
        stream.ReadExactly(bytes);
        int kept = 0, unreadable = -1;
        for (int start = 0, end; (end = Array.IndexOf(bytes, (byte)'\n', start)) >= 0; start = end + 1)
        {
            long? found = StepOf(bytes.AsSpan(start, end - start));
            if (found > step) break;
            if (found is null && unreadable < 0) unreadable = start;
            // A power failure only damages the last lines: an intact line after a damaged one means another kind of
            // damage.
            if (found is not null && unreadable >= 0) throw Foreign(stream.Name, bytes, unreadable);
            if (found is not null) kept = end + 1;
        }
        if (kept == 0 && step > 0 && unreadable == 0) throw Foreign(stream.Name, bytes, 0);
        stream.SetLength(kept);
        return stream.Position = kept;
    }

    private static InputException Foreign(string path, byte[] bytes, int start)
    {
        string line = System.Text.Encoding.UTF8.GetString(bytes.AsSpan(start)).Split('\n')[0];
        return new InputException(
            $"{path} has a line that is not a measurement: {(line.Length > 100 ? line[..100] + "…" : line)}. Move " +
            "the file away and resume again.");
    }

    private static long? StepOf(ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonNode.Parse(line)?["step"]?.GetValue<long>();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private void Write<T>(T line) =>
        RunStorageException.Guard(
            path, () => IO.AtomicFile.Append(Opened(), [.. JsonSerializer.SerializeToUtf8Bytes(line), (byte)'\n']),
            waits);
}
