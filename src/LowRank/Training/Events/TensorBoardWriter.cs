using System.Globalization;

namespace LowRank.Training.Events;

/// <summary>Writes a run's course as event files, which TensorBoard shows while the run goes on.</summary>
/// <remarks>Tags: <c>train/loss, train/grad_norm, train/learning_rate, train/tokens_per_second, train/memory_bytes</c>, <c>eval/loss</c> and the
/// task's metrics as <c>eval/NAME</c>, and <c>generations/N</c> where the model wrote texts. Each event reaches the file at once. A resumed
/// run begins a new file, as TensorBoard expects, and declares void what earlier files hold of steps that are taken again; a record that a
/// kill tore at the end of a file is passed over by readers.</remarks>
/// <param name="folder">Receives the files; made when it is missing.</param>
/// <param name="time">Tells the time; null for the system's.</param>
/// <param name="waits">Waits while the disk is full; null does not.</param>
public sealed class TensorBoardWriter(string folder, TimeProvider? time = null, StorageWait? waits = null) : ITrainingObserver, IDisposable
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
            stream = new FileStream(Path.Combine(folder, NextName()), FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
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
        .. evaluation.Metrics.Where(metric => metric.Value is not null).Select(metric => EventMessage.Scalar("eval/" + metric.Key, metric.Value.GetValueOrDefault())),
        .. evaluation.Generations.Select((text, place) => EventMessage.Text($"generations/{place + 1}", $"{Verbatim(text.Prompt)}\n\n→\n\n{Verbatim(text.Text)}")),
    ]));

    /// <inheritdoc/>
    public void Saving(long step) => Guard(() => stream!.Flush(flushToDisk: true));

    /// <inheritdoc/>
    public void Finished(TrainingResult result) => Saving(result.Steps);

    /// <inheritdoc/>
    public void Dispose() => stream?.Dispose();

    // Markdown's indented block: what the model writes is no markup.
    private static string Verbatim(string text) => "    " + text.ReplaceLineEndings("\n    ");

    // Readers take files in the order of their names: a run that goes on within the same second comes after the earlier one all the same.
    private string NextName()
    {
        long earlier = Directory.GetFiles(folder, Prefix + "*")
            .Max(file => long.TryParse(Path.GetFileName(file)[Prefix.Length..].Split('.')[0], CultureInfo.InvariantCulture, out long seconds) ? seconds : (long?)null) ?? 0;
        return string.Create(CultureInfo.InvariantCulture, $"{Prefix}{Math.Max((long)Now, earlier + 1):d10}.lowrank");
    }

    private void Write(ProtoMessage message) => Guard(() => Tensors.AtomicFile.Append(stream ?? throw new InvalidOperationException("The run has not started."), EventRecord.Of(message.ToArray())));

    private void Guard(Action work) => RunStorageException.Guard(stream?.Name ?? folder, work, waits);
}
