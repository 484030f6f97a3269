using System.Text.Json;
using LowRank.Adapters.Files;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Adapters;

/// <summary>How an adapter's training rows were read, so that other rows are read the same way. Stored in a file next
/// to PEFT's two, which PEFT ignores; not written if everything is at its default.</summary>
public sealed record AdapterData
{
    /// <summary>The file's name in an adapter folder.</summary>
    public const string FileName = "lowrank_data.json";

    /// <summary>The data's field names by the task's field names; null for none.</summary>
    public IReadOnlyDictionary<string, string>? Columns { get; init; }

    /// <summary>The template for the fields (<see cref="RowTemplate"/>); null for none.</summary>
    public IReadOnlyDictionary<string, string>? Template { get; init; }

    /// <summary>How plain text is split: pairs, lines or document; null for pairs.</summary>
    public string? Text { get; init; }

    /// <summary>The column separator of tables: auto or a character; null for auto.</summary>
    public string? CsvSeparator { get; init; }

    /// <summary>Whether the first line of tables contains the column names; null for true.</summary>
    public bool? CsvHeader { get; init; }

    /// <summary>The part of prompts and conversations that is learned: completion or all; null for
    /// completion.</summary>
    public string? TrainOn { get; init; }

    /// <summary>The settings that differ from the defaults; null if none do.</summary>
    public static AdapterData? From(RowOptions rows, TrainOn trainOn)
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

    /// <summary>Reads the file of a folder; null if there is none.</summary>
    /// <exception cref="InputException">The file is invalid.</exception>
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

    /// <summary>The part of prompts and conversations that was learned.</summary>
    public TrainOn Learned => Of(TrainOn, "train_on", Data.TrainOn.Completion);

    /// <summary>A description in words.</summary>
    public override string ToString() => string.Join("; ", ((string?[])
    [
        Columns is null ? null
            : $"columns {string.Join(", ", Columns.Select(column => $"{column.Key}={column.Value}"))}",
        Template is null ? null : $"a template of {string.Join(", ", Template.Keys)}",
        Text is null ? null : $"text {Text}",
        CsvSeparator is null ? null : $"tables parted by {CsvSeparator}",
        CsvHeader is null or true ? null : "tables without a header",
        TrainOn is null ? null : $"learning of {TrainOn}",
    ]).OfType<string>());

    /// <summary>Writes the file into a folder.</summary>
    public void Save(string folder) => SidecarFile.Save(this, folder, FileName);

    /// <summary>The common settings of several adapters; null if they differ.</summary>
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
