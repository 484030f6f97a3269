using LowRank.Adapters;
using LowRank.Adapters.Operations;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tokenizers;

namespace LowRank.Tests;

/// <summary>Every reader of settings refuses files without end, and giant ones before they are read.</summary>
public sealed class EndlessFileTests
{
    private const long Giant = 200_000_000;

    [Fact]
    public void A_device_without_end_is_refused_by_every_reader()
    {
        Assert.SkipUnless(File.Exists("/dev/zero"), "there is no /dev/zero");
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["r.yaml"], "base: /dev/zero\nmodel: base\n");
        Assert.Contains("/dev/zero has more than", Refused(() => Recipe.Load(folder["r.yaml"])));
        Assert.Contains("/dev/zero has more than", Refused(() => Recipe.Load("/dev/zero")));
        Assert.Contains("/dev/zero has more than", Refused(() => ConfigReader.Open("/dev/zero")));
        Assert.Contains("/dev/zero has more than", Refused(() => Tokenizer.Load("/dev/zero")));
        File.CreateSymbolicLink(folder["adapter_config.json"], "/dev/zero");
        Assert.Contains("has more than", Refused(() => AdapterConfig.Load(folder.Path)));
    }

    [Fact]
    public void Giant_files_are_refused_by_every_reader_before_they_are_read()
    {
        using var folder = new TemporaryFolder();
        foreach (string name in new[] { "recipe.yaml", "config.json", "generation_config.json", "adapter_config.json",
            "tokenizer.json", "spiece.model" })
            using (FileStream file = File.Create(folder[name])) file.SetLength(Giant); // holes, which take no room
        long before = GC.GetAllocatedBytesForCurrentThread();
        foreach (Action read in new Action[]
        {
            () => Recipe.Load(folder["recipe.yaml"]), () => ConfigReader.Open(folder["config.json"]), () =>
                GenerationSettings.Read(folder.Path, ConfigReader.Parse("{\"model_type\": \"llama\"}", "c")), () =>
                AdapterConfig.Load(folder.Path),
            () => MlxFolder.ToPeft(folder.Path, folder.Path, folder["out"]), () => Tokenizer.Load(folder.Path),
            () => Tokenizer.Load(folder["spiece.model"]),
        }) Assert.Contains("has 200,000,000 bytes, expected at most", Refused(read));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000_000);
    }

    private static string Refused(Action action) => Assert.Throws<InputException>(action).Message;
}
