using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Training;

/// <summary>Writes a run's course as JSON lines.</summary>
/// <remarks>One line a step (<c>step, loss, grad_norm, learning_rate, tokens, tokens_per_second</c>) and one an evaluation
/// (<c>step, eval_loss, eval_tokens</c> and the task's metrics, each as <c>eval_NAME</c>). Each line reaches the file at once: a run that is killed leaves whole lines.</remarks>
public sealed class MetricsWriter : ITrainingObserver, IDisposable
{
    private readonly FileStream stream;
    private bool resuming;

    /// <summary>Opens the file; its folder is made when it is missing.</summary>
    /// <param name="path">Usually <c>metrics.jsonl</c> in the output folder.</param>
    /// <param name="resume">True goes on after the lines of an interrupted run, without those of steps that are taken again;
    /// false starts anew.</param>
    public MetricsWriter(string path, bool resume = false)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        resuming = resume;
        // Others may read along while the run goes on.
        stream = new FileStream(path, resume ? FileMode.OpenOrCreate : FileMode.Create, FileAccess.ReadWrite, FileShare.Read);
    }

    /// <inheritdoc/>
    public void Started(TrainingPlan plan)
    {
        // The plan is not a measurement.
    }

    /// <inheritdoc/>
    public void Stepped(TrainingStep step)
    {
        if (resuming) CutFrom(step.Step);
        resuming = false;
        Write(new
        {
            step = step.Step,
            loss = step.Loss,
            grad_norm = step.GradientNorm,
            learning_rate = step.LearningRate,
            tokens = step.Tokens,
            tokens_per_second = step.TokensPerSecond,
        });
    }

    /// <inheritdoc/>
    public void Evaluated(EvaluationResult evaluation) =>
        Write(new Dictionary<string, object?>([
            KeyValuePair.Create("step", (object?)evaluation.Step),
            KeyValuePair.Create("eval_loss", (object?)evaluation.Loss),
            KeyValuePair.Create("eval_tokens", (object?)evaluation.Tokens),
            .. evaluation.Metrics.Select(metric => KeyValuePair.Create("eval_" + metric.Key, (object?)metric.Value)),
        ]));

    /// <inheritdoc/>
    public void Finished(TrainingResult result)
    {
        // Every line is in the file already.
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();

    // Removes what an interrupted run wrote from this step on, and a last line that it did not finish.
    private void CutFrom(long step)
    {
        stream.Position = 0;
        using var reader = new StreamReader(stream, leaveOpen: true);
        string[] lines = reader.ReadToEnd().Split('\n')[..^1];
        long kept = lines.TakeWhile(line => StepOf(line) < step).Sum(line => Encoding.UTF8.GetByteCount(line) + 1L);
        stream.SetLength(kept);
        stream.Position = kept;
    }

    private long StepOf(string line)
    {
        try
        {
            return JsonNode.Parse(line)?["step"]?.GetValue<long>() ?? throw new InputException($"{stream.Name} has a line without step: {line}");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new InputException($"{stream.Name} has a line that is not a measurement: {line}. Move the file away and resume again.", e);
        }
    }

    private void Write<T>(T line)
    {
        stream.Write([.. JsonSerializer.SerializeToUtf8Bytes(line), (byte)'\n']);
        stream.Flush();
    }
}
