using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Adapters;

/// <summary>How the rows were read that an adapter was trained on, so that others are read alike. A file beside PEFT's
/// two, which PEFT passes over; one trained on rows that need nothing said has none.</summary>
public sealed record AdapterData
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_data.json";

    /// <summary>The data's names of fields by those that the task reads; null for none.</summary>
    public IReadOnlyDictionary<string, string>? Columns { get; init; }

    /// <summary>The words around the fields (<see cref="RowTemplate"/>); null for none.</summary>
    public IReadOnlyDictionary<string, string>? Template { get; init; }

    /// <summary>What plain text means: pairs, lines or document; null for pairs.</summary>
    public string? Text { get; init; }

    /// <summary>What parts the columns of tables: auto or a character; null for auto.</summary>
    public string? CsvSeparator { get; init; }

    /// <summary>Whether the first line of tables names the columns; null for true.</summary>
    public bool? CsvHeader { get; init; }

    /// <summary>What is learned of prompts and conversations: completion or all; null for completion.</summary>
    public string? TrainOn { get; init; }

    /// <summary>What has to be said of rows; null where nothing differs from the defaults.</summary>
    public static AdapterData? Of(RowOptions rows, TrainOn trainOn)
    {
        var data = new AdapterData
        {
            Columns = rows.Columns.Count > 0 ? rows.Columns : null,
            Template = rows.Template?.Sources,
            Text = rows.Text == PlainText.Pairs ? null : Word(rows.Text),
            CsvSeparator = rows.Csv.Separator is null ? null : rows.Csv.SeparatorWord,
            CsvHeader = rows.Csv.Header ? null : false,
            TrainOn = trainOn == Data.TrainOn.Completion ? null : Word(trainOn),
        };
        return data == new AdapterData() ? null : data;
    }

    /// <summary>Reads the file of a folder; null where there is none.</summary>
    /// <exception cref="InputException">It is broken.</exception>
    public static AdapterData? Load(string folder) =>
        SidecarFile.Load<AdapterData>(folder, FileName, "with rows in the task's own columns", read => read.Problem());

    /// <summary>How rows are read.</summary>
    public RowOptions Rows() => new()
    {
        Columns = Columns ?? new Dictionary<string, string>(),
        Template = Template is null ? null : new RowTemplate(Template),
        Text = Of(Text, "text", PlainText.Pairs),
        Csv = new TableOptions { Separator = TableOptions.ReadSeparator(CsvSeparator ?? TableOptions.Auto),
        Header = CsvHeader ?? true },
    };

    /// <summary>What was learned of prompts and conversations.</summary>
    internal TrainOn Learned => Of(TrainOn, "train_on", Data.TrainOn.Completion);

    /// <summary>What it says, in words.</summary>
    public override string ToString() => string.Join("; ", ((string?[])
    [
        Columns is null ? null
            : $"columns {string.Join(", ", Columns.Select(column => $"{column.Key}={column.Value}"))}",
        Template is null ? null : $"a template of {string.Join(", ", Template.Keys)}",
        Text is null ? null : $"text {Text}",
        CsvSeparator is null ? null : $"tables parted by {CsvSeparator}",
        CsvHeader is null or true ? null : "tables without a header",
        TrainOn is null ? null : $"train_on {TrainOn}",
    ]).OfType<string>());

    /// <summary>Writes the file into a folder.</summary>
    public void Save(string folder) => SidecarFile.Save(this, folder, FileName);

    /// <summary>That of several adapters together; null where they differ.</summary>
    internal static AdapterData? Common(IEnumerable<AdapterData?> given)
    {
        AdapterData?[] all = [.. given];
        return all.Select(one => JsonSerializer.Serialize(one)).Distinct().Count() == 1 ? all[0] : null;
    }

    private string? Problem()
    {
        try
        {
            _ = (Rows(), Learned);
            return null;
        }
        catch (InputException failure)
        {
            return failure.Message.TrimEnd('.');
        }
    }

    private static string Word<T>(T value) where T : struct, Enum => value.ToString().ToLowerInvariant();

    private static T Of<T>(string? word, string key, T otherwise) where T : struct, Enum
    {
        if (word is null) return otherwise;
        T[] fitting = [.. Enum.GetValues<T>().Where(value => Word(value) == word)];
        return fitting.Length == 1 ? fitting[0]
            : throw new InputException(
                $"{key} is {word}, expected one of {string.Join(", ", Enum.GetValues<T>().Select(Word))}.");
    }
}
