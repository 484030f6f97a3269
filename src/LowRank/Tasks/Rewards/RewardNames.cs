using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tasks.Rewards;

/// <summary>Reads how a recipe or a command line names rewards: <c>KIND: WHAT</c>.</summary>
internal static class RewardNames
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(1);

    /// <summary>What is expected, in words.</summary>
    public const string Expected =
        "\"regex: PATTERN\", \"exact: FIELD\", \"model: FOLDER\" or \"program: COMMAND\"";

    /// <summary>What is wrong with a name, as the end of a sentence that begins with the setting; null if nothing
    /// is.</summary>
    public static string? Problem(string text)
    {
        (string kind, string what) = Parts(text);
        if (what.Length == 0 || kind is not ("regex" or "exact" or "model" or "program"))
            return $"is \"{text}\", expected {Expected}";
        if (kind == "model" && !Directory.Exists(what))
            return $"is \"{text}\", and there is no folder {what}; expected a reward model's, of an adapter of task " +
                $"{RewardKind.TaskName} or of a merged model";
        if (kind != "regex") return null;
        try
        {
            _ = new Regex(what, RegexOptions.CultureInvariant, Longest);
            return null;
        }
        catch (ArgumentException e)
        {
            return $"is \"{text}\", which is no regular expression: {e.Message}";
        }
    }

    /// <summary>The folder of a reward model; null for other kinds.</summary>
    public static string? ModelFolder(string text) => Parts(text) is ("model", var folder) ? folder : null;

    /// <summary>Opens a way to judge.</summary>
    /// <param name="text">Its name, without a <see cref="Problem"/>.</param>
    /// <param name="model">The folder of the base, on which an adapter that scores was trained.</param>
    /// <exception cref="InputException">A reward model cannot be opened, or a program not started.</exception>
    public static IRewardSource Open(string text, string model)
    {
        (string kind, string what) = Parts(text);
        return kind switch
        {
            "regex" => new FunctionReward(kind, Matches(new Regex(what, RegexOptions.CultureInvariant, Longest))),
            "exact" => new FunctionReward(kind, (_, completion, row) => Equals(completion, row, what)),
            "model" => new ModelReward(what, model),
            _ => new ProgramReward(what),
        };
    }

    private static (string Kind, string What) Parts(string text) =>
        text.IndexOf(':', StringComparison.Ordinal) is > 0 and var at ? (text[..at].Trim(), text[(at + 1)..].Trim())
        : (text, "");

    private static RewardFunction Matches(Regex pattern) => (_, completion, _) =>
    {
        try
        {
            return pattern.IsMatch(completion) ? 1 : 0;
        }
        catch (RegexMatchTimeoutException)
        {
            throw new InputException(
                $"The regular expression {pattern} takes more than a second on the completion " +
                $"\"{WeightedRewards.Shortened(completion)}\". Expected one that does not try so many ways.");
        }
    };

    private static double Equals(string completion, JsonObject row, string field) =>
        Row.AsText(row[field]) is { } answer
        ? completion.Trim() == answer.Trim() ? 1 : 0
        : throw new InputException($"The reward is exact: {field}, and a row has no text in \"{field}\". It has " +
            $"{string.Join(", ", row.Select(one => one.Key))}.");
}

/// <summary>A reward model: an adapter of <c>task: reward</c> on the base, or a whole model. Weights in float32 are
/// mapped from the file, so the base's are in memory once.</summary>
internal sealed class ModelReward(string folder, string model) : IRewardSource
{
    private const int TogetherAtOnce = 16;

    private readonly TaskModel opened = File.Exists(Path.Combine(folder, AdapterConfig.FileName))
        ? TaskModel.Open(model, folder, RewardKind.TaskName) : TaskModel.Open(folder, null, RewardKind.TaskName);

    /// <inheritdoc/>
    public string Name => "model";

    /// <inheritdoc/>
    public IReadOnlyList<double> Rewards(IReadOnlyList<RewardedText> texts)
    {
        JsonObject[] rows = [.. texts.Select(text => text.Row["messages"] is null
            ? new JsonObject { ["prompt"] = text.Prompt, ["completion"] = text.Completion }
            : new JsonObject { ["messages"] = new JsonArray([.. JsonNode.Parse(text.Prompt)!.AsArray()
                .Select(turn => turn?.DeepClone()), Data.Chat.ChatFormats.Message("assistant", text.Completion)]) })];
        return [.. opened.Task.Predict(RowSource.From(rows), TogetherAtOnce)
            .Select(answer => (double)answer["score"]!.GetValue<float>())];
    }

    /// <inheritdoc/>
    public void Dispose() => opened.Dispose();
}
