using System.Diagnostics;
using System.Globalization;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Data.Rows;
using LowRank.IO;
using LowRank.IO.Gguf;
using LowRank.Jinja;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tests.Models;
using LowRank.Tokenizers;
using TorchSharp;

namespace LowRank.Tests.Fuzzing;

/// <summary>
/// Readers of untrusted files, given spoilt ones: each is read or refused with an <see cref="InputException"/>; no
/// crash, no hang, no memory without bound, nothing outside the folder. A run draws the same inputs each time;
/// <c>LOWRANK_FUZZ_SECONDS=600</c> in the environment goes on with new ones that long for each reader. What fails is
/// kept in a file that the message names: put it into the reader's corpus, Fixtures/fuzz, with the fix.
/// </summary>
[Collection("alone")]
public sealed class FuzzTests
{
    private const int Inputs = 250;
    private const long MostBytes = 400_000_000; // of one input, all allocations together
    private const long MostMemory = 1_000_000_000; // that one input adds, native memory included
    // of one input: a guard against what hangs, on however busy a machine
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(10);

    private static readonly Dictionary<string, FuzzedReader> Readers = new FuzzedReader[]
    {
        new("safetensors", "model.safetensors", Nothing, folder => MapAll(Path.Combine(folder, "model.safetensors"))),
        new("gguf", "model.gguf", Nothing, folder => ExpandAll(Path.Combine(folder, "model.gguf"))),
        new("pickle", "pytorch_model.bin", Nothing,
        folder => MapAll(Path.Combine(folder, "pytorch_model.bin")), "../pickle"),
        new("index", "model.safetensors.index.json", WriteShards, folder => Checkpoint.Open(folder).Dispose()),
        new("tokenizer", "tokenizer.json", Nothing, ReadTokenizer),
        new("sentencepiece", "tokenizer.model", Nothing, ReadTokenizer),
        new("template", "chat_template.jinja", Nothing,
        folder => ReadTemplate(Path.Combine(folder, "chat_template.jinja"))),
        new("recipe", "recipe.yaml", Nothing, folder => Recipe.Load(Path.Combine(folder, "recipe.yaml"))),
        new("config", "config.json", WriteWeights, folder => PretrainedModel.Open(folder).Dispose()),
        Rows("jsonl", "rows.jsonl"),
        Rows("json", "rows.json"),
        Rows("csv", "rows.csv"),
        Rows("tsv", "rows.tsv"),
        Rows("txt", "rows.txt"),
        Rows("parquet", "rows.parquet"),
        Rows("gzip", "rows.jsonl.gz"),
        Rows("zstd", "rows.jsonl.zst"),
        Rows("bzip2", "rows.jsonl.bz2"),
        new("adapter_config", "adapter_config.json", Nothing, ReadAdapter),
        new("adapter_base", AdapterBase.FileName, Nothing, folder => AdapterBase.Load(folder)),
        new("adapter_data", AdapterData.FileName, Nothing, folder => AdapterData.Load(folder)),
        new("adapter_task", AdapterTask.FileName, Nothing, folder => AdapterTask.Load(folder)),
    }.ToDictionary(reader => reader.Name);

    public static TheoryData<string> Names => [.. Readers.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Spoilt_files_are_read_or_refused(string name)
    {
        FuzzedReader reader = Readers[name];
        byte[][] seeds =
            [.. Directory.GetFiles(Path.Combine(AppContext.BaseDirectory, "Fixtures", "fuzz", reader.Corpus ?? name))
            .Order(StringComparer.Ordinal).Select(File.ReadAllBytes)];
        Assert.NotEmpty(seeds);
        using var folder = new TemporaryFolder();
        reader.Prepare(folder.Path);
        int refused = 0;
        foreach (byte[] seed in seeds) refused += Check(reader, seed, folder.Path) ? 1 : 0;
        Assert.True(refused < seeds.Length, "every input of the corpus is refused: the corpus shows nothing");
        double seconds =
            double.Parse(Environment.GetEnvironmentVariable("LOWRANK_FUZZ_SECONDS")
            ?? "0", CultureInfo.InvariantCulture);
        var mutator = new Mutator(new StableRandom(seconds > 0 ? (ulong)Stopwatch.GetTimestamp() : 1));
        var random = new StableRandom(2);
        var clock = Stopwatch.StartNew();
        refused = 0;
        int read = 0;
        while (read < Inputs || clock.Elapsed.TotalSeconds < seconds)
        {
            refused += Check(reader, mutator.Mutate(seeds[random.Below(seeds.Length)], seeds), folder.Path) ? 1 : 0;
            read++;
        }
        Assert.InRange(refused, 1, read); // spoiling spoils
    }

    [Theory, MemberData(nameof(Names))]
    public void Files_nested_a_hundred_thousand_deep_or_empty_are_refused(string name)
    {
        FuzzedReader reader = Readers[name];
        using var folder = new TemporaryFolder();
        reader.Prepare(folder.Path);
        foreach (string text in new[] { "", "[", "{\"a\":", "a: ", "- ", "(", "{{(", "{% if x %}", "not " })
        {
            Check(reader, System.Text.Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(text, 100_000))),
                folder.Path);
            Check(reader, System.Text.Encoding.UTF8.GetBytes("{{ " + string.Concat(Enumerable.Repeat(text, 50_000))),
                folder.Path);
        }
    }

    // True where it was refused.
    private static bool Check(FuzzedReader reader, byte[] input, string folder)
    {
        string file = Path.Combine(folder, reader.FileName);
        File.WriteAllBytes(file, input);
        long before = GC.GetAllocatedBytesForCurrentThread();
        long resident = ProcessMemory.ResetPeak() ? ProcessMemory.ResidentBytes() : long.MaxValue;
        var clock = Stopwatch.StartNew();
        bool refused = false;
        try
        {
            using var scope = torch.NewDisposeScope();
            reader.Read(folder);
        }
        catch (InputException refusal)
        {
            refused = true;
            if (string.IsNullOrWhiteSpace(refusal.Message)) Fail(reader, input, "it was refused without a word");
        }
        catch (Exception failure) when (failure is not Xunit.Sdk.XunitException)
        {
            Fail(reader, input, failure.ToString());
        }
        if (clock.Elapsed > Longest) Fail(reader, input, $"it took {clock.Elapsed}");
        long bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        if (bytes > MostBytes + 2000L * input.Length) Fail(reader, input, $"it allocated {bytes / 1e6:0} MB");
        long grown = ProcessMemory.PeakBytes() - resident;
        if (grown > MostMemory) Fail(reader, input, $"it took {grown / 1e6:0} MB");
        return refused;
    }

    private static void Fail(FuzzedReader reader, byte[] input, string what)
    {
        string kept = Path.Combine(
            Path.GetTempPath(),
            $"lowrank-fuzz-{reader.Name}-{Convert.ToHexStringLower(
                System.Security.Cryptography.SHA256.HashData(input))[..12]}");
        File.WriteAllBytes(kept, input);
        Assert.Fail(
            $"{reader.Name}: {what}\nThe input is kept as {kept}: put it into Fixtures/fuzz/{reader.Name} with the " +
            "fix.");
    }

    private static FuzzedReader Rows(string name, string file) =>
        new(name, file, Nothing, folder => RowSource.From([Path.Combine(folder, file)]).ReadAll(foreign: true));

    private static void Nothing(string folder)
    {
    }

    private static void MapAll(string path)
    {
        using SafeTensorsFile file = SafeTensorsFile.OpenAny(path);
        foreach (string name in file.Entries.Keys) file.Map(name).Dispose();
    }

    private static void ExpandAll(string path)
    {
        using GgufFile file = GgufFile.Open(path);
        foreach (GgufTensor tensor in file.Tensors.Values) file.Read(tensor).Dispose();
    }

    private static void ReadTokenizer(string folder)
    {
        Tokenizer tokenizer = Tokenizer.Load(folder);
        foreach (string text in new[] { "", "ab c<unk> é 😀\t\n 'T ab1234..", "\0\u0301\ud800" })
        {
            tokenizer.Decode(tokenizer.Encode(text));
            tokenizer.EncodeFull(text, "b");
        }
    }

    private static void ReadTemplate(string path)
    {
        System.Text.Json.Nodes.JsonObject given = System.Text.Json.Nodes.JsonNode.Parse("""
            {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "bxb", "extra": {"k": [1, 2.5, null]}}, {"role": "assistant", "content": "c"}],
             "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}], "add_generation_prompt": true, "eos_token": "</s>"}
            """)!.AsObject();
        ChatTemplate.Parse(File.ReadAllText(path), new JinjaLimits { MaximumSteps = 100_000, MaximumLength = 100_000 })
            .Render(given);
    }

    private static void WriteWeights(string folder)
    {
        using var tiny = new TinyModel();
        tiny.Save();
        File.Copy(Path.Combine(tiny.Path, "model.safetensors"), Path.Combine(folder, "model.safetensors"));
    }

    private static void WriteShards(string folder)
    {
        using torch.Tensor weight = torch.zeros(2, 3);
        SafeTensorsWriter.Write(
            Path.Combine(folder, "model-00001-of-00002.safetensors"),
            [KeyValuePair.Create("model.embed_tokens.weight", weight)]);
        SafeTensorsWriter.Write(
            Path.Combine(folder, "model-00002-of-00002.safetensors"), [KeyValuePair.Create("lm_head.weight", weight)]);
    }

    private static void ReadAdapter(string folder)
    {
        AdapterConfig.Load(folder);
        using var tiny = new TinyModel();
        using Adapter adapter = Adapter.Create(tiny.Model, AdapterConfig.Load(folder), 1);
        adapter.Attach();
    }
}
