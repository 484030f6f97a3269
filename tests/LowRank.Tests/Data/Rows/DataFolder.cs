using System.Text;
using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tests.Data.Rows;

/// <summary>A folder of data files that lives as long as a test.</summary>
internal sealed class DataFolder : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-rows-");

    public string Path => folder.FullName;

    public string Write(string name, string text) => Write(name, Encoding.UTF8.GetBytes(text));

    public string Write(string name, byte[] bytes)
    {
        string path = System.IO.Path.Combine(Path, name);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    public static string[] Rows(RowSource source, bool foreign = false) =>
        [.. source.ReadAll(foreign).Select(sample => sample.Fields.ToJsonString())];

    public static string[] Rows(params string[] paths) => Rows(RowSource.From(paths));

    public static string Refusal(RowSource source, bool foreign = false) =>
        Assert.Throws<InputException>(() => source.ReadAll(foreign)).Message;

    public static string Refusal(params string[] paths) => Refusal(RowSource.From(paths));

    public static JsonObject Row(Row sample) => sample.Fields;

    public void Dispose() => folder.Delete(recursive: true);
}
