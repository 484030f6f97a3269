using Microsoft.Extensions.Logging;

namespace LowRank;

/// <summary>What a <see cref="LanguageModel"/> tells its logger; the numbers of events do not change.</summary>
internal static partial class ModelLog
{
    [LoggerMessage(1, LogLevel.Information, "Opened {Model} in {Folder}: {Parameters} numbers on {Device}")]
    public static partial void Opened(this ILogger logger, string model, string folder, long parameters, string device);

    [LoggerMessage(2, LogLevel.Information, "{Note}")]
    public static partial void ModelNote(this ILogger logger, string note);

    [LoggerMessage(3, LogLevel.Warning, "{Warning}")]
    public static partial void ModelWarning(this ILogger logger, string warning);

    [LoggerMessage(4, LogLevel.Information, "Fetching {Files} files of {Repository}, {Bytes} bytes")]
    public static partial void Fetching(this ILogger logger, string repository, int files, long bytes);

    [LoggerMessage(10, LogLevel.Information,
        "Training {TrainedParameters} of {Parameters} numbers for {Steps} steps on {Rows} rows")]
    public static partial void TrainingStarted(
        this ILogger logger, long trainedParameters, long parameters, long steps, long rows);

    [LoggerMessage(11, LogLevel.Debug, "Step {Step}: loss {Loss}, rate {LearningRate}, {TokensPerSecond} tokens/s")]
    public static partial void Stepped(
        this ILogger logger, long step, double loss, double learningRate, double tokensPerSecond);

    [LoggerMessage(12, LogLevel.Information, "Step {Step}: held-out loss {Loss}")]
    public static partial void Evaluated(this ILogger logger, long step, double loss);

    [LoggerMessage(13, LogLevel.Information, "Training ended after {Steps} steps: {Ending}, loss {Loss}")]
    public static partial void TrainingEnded(this ILogger logger, long steps, string ending, double? loss);

    [LoggerMessage(14, LogLevel.Warning, "Step {Step} was skipped: {Reason}")]
    public static partial void StepSkipped(this ILogger logger, long step, string reason);

    [LoggerMessage(15, LogLevel.Warning, "{Advice}")]
    public static partial void Advised(this ILogger logger, string advice);
}
