using LowRank.Data.Rows;

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
            ChatTemplate = TemplateOf(section),
            Columns = section.TextMap("columns"),
            Template = section.Child("template") is { } template ? ReadTemplate(template) : d.Template,
            Text = section.OneOf("text", d.Text, "pairs", "lines", "document"),
            Csv = section.Child("csv") is { } table ? ReadTable(table) : d.Csv,
            OnBadRow = section.OneOf("on_bad_row", d.OnBadRow, "error", "skip"),
            Deduplicate = section.Flag("deduplicate", d.Deduplicate),
            Cache = section.Flag("cache", d.Cache),
            Streaming = section.Flag("streaming", d.Streaming),
            ShuffleBuffer = section.Count("shuffle_buffer", 2, d.ShuffleBuffer),
        };
        CheckTemplate(section, data);
        section.RejectUnknown();
        return data;
    }

    // A file, or where there is none the name of a template of the model, which stays as it is.
    private string? TemplateOf(YamlSection section) =>
        section.Text("chat_template") is { } text && section.Texts("chat_template") is [{ } given]
            ? Resolve(given) is var path && File.Exists(path) ? path : text : null;

    private static Dictionary<string, string> ReadTemplate(YamlSection section)
    {
        var parts = new Dictionary<string, string>();
        foreach (string key in RecipeKeys.Sections["data.template"])
            if (section.Text(key) is { } source) parts[key] = source;
        section.RejectUnknown();
        return parts;
    }

    private static TableOptions ReadTable(YamlSection section)
    {
        var table = new TableOptions { Header = section.Flag("header", true) };
        try
        {
            table = table with { Separator = TableOptions.ReadSeparator(
                section.Text("separator") ?? TableOptions.Auto) };
        }
        catch (InputException failure)
        {
            section.Reject("separator", $"cannot be used: {failure.Message.TrimEnd('.')}");
        }
        section.RejectUnknown();
        return table;
    }

    private static void CheckTemplate(YamlSection section, DataSection data)
    {
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
