using LowRank.Data.Rows;
using LowRank.Tasks;

namespace LowRank.Recipes;

// The section data.
internal sealed partial class RecipeReader
{
    private DataSection ReadData(YamlSection section)
    {
        section.Require("train", "a data file, a folder of them, or a list");
        var d = new DataSection { Train = [] };
        IReadOnlyList<double>? weights = section.Positives("weights");
        var data = new DataSection
        {
            Train = PathsOf(section, "train") ?? [],
            Weights = weights,
            Validation = PathsOf(section, "validation") ?? [],
            ValidationShare = section.Number("validation_share", d.ValidationShare, below: 1),
            SplitSeed = section.Whole("split_seed", 0) ?? d.SplitSeed,
            TrainOn = section.OneOf("train_on", d.TrainOn, "completion", "all"),
            Columns = section.TextMap("columns"),
            Template = section.Child("template") is { } template ? ReadTemplate(template) : d.Template,
            Text = section.OneOf("text", d.Text, "pairs", "lines", "document"),
            OnBadRow = section.OneOf("on_bad_row", d.OnBadRow, "error", "skip"),
            Deduplicate = section.Flag("deduplicate", d.Deduplicate),
            Cache = section.Flag("cache", d.Cache),
            Streaming = section.Flag("streaming", d.Streaming),
            ShuffleBuffer = section.Count("shuffle_buffer", 2, d.ShuffleBuffer),
        };
        CheckData(section, data);
        section.RejectUnknown();
        return data;
    }

    // What goes through the data as a whole has no place where it is never seen as a whole.
    private static void CheckStreaming(YamlSection root, DataSection data, TrainingSection training, string task)
    {
        if (!data.Streaming || root.Child("data") is not { } section) return;
        if (task != TaskRegistry.Default) section.Reject("streaming", $"works with task {TaskRegistry.Default} only; remove it");
        if (training.Steps is null) section.Reject("streaming", "needs training.steps: how many rows there are is not known before the end");
        else if (training.Steps > int.MaxValue / ((long)training.BatchSize * training.GradientAccumulation))
            section.Reject("streaming", $"takes at most {int.MaxValue} rows a run; lower training.steps");
        if (section.Has("shuffle_buffer") && !training.Shuffle) section.Reject("shuffle_buffer", "has no effect with training.shuffle: false; remove it");
        if (training.SharePrompts == "grouped") section.Reject("streaming", "does not go with training.share_prompts: grouped, which orders all rows; change one of them");
    }

    private static Dictionary<string, string> ReadTemplate(YamlSection section)
    {
        var parts = new Dictionary<string, string>();
        foreach (string key in RecipeKeys.Sections["data.template"])
            if (section.Text(key) is { } source) parts[key] = source;
        section.RejectUnknown();
        return parts;
    }

    private static void CheckData(YamlSection section, DataSection data)
    {
        if (data.Weights is { } weights && data.Train.Count > 0 && weights.Count != data.Train.Count)
            section.Reject("weights", $"has {weights.Count} numbers, expected {data.Train.Count}, one for each entry of data.train");
        if (data.ValidationShare > 0 && data.Validation.Count > 0)
            section.Reject("validation_share", "and data.validation are both given; keep one of them");
        if (section.Has("split_seed") && data.ValidationShare == 0)
            section.Reject("split_seed", "has no effect without data.validation_share; add that or remove this");
        if (section.Has("shuffle_buffer") && !data.Streaming) section.Reject("shuffle_buffer", "has no effect without data.streaming: true; add that or remove this");
        if (data.Streaming && data.Deduplicate) section.Reject("deduplicate", "needs all rows, which data.streaming does not keep; keep one of them");
        if (data.Template.Count == 0) return;
        try
        {
            _ = new RowTemplate(data.Template);
        }
        catch (InputException failure)
        {
            section.Reject("template", $"cannot be used: {failure.Message.TrimEnd('.')}");
        }
    }
}
