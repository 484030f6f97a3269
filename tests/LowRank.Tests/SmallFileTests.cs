using System.Diagnostics;
using System.Text;
using LowRank.Adapters;
using LowRank.Adapters.Operations;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tokenizers;

namespace LowRank.Tests;

/// <summary>Files that are read whole have a longest size, and are not waited for without end.</summary>
public sealed class SmallFileTests
{
    private const long Giant = 200_000_000;

    [Fact]
    public void Texts_lines_and_bytes_are_those_of_the_file()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["marked"], "ä\r\nö\n", new UTF8Encoding(encoderShouldEmitUTF8Identifier: true));
        Assert.Equal("ä\r\nö\n", SmallFile.ReadText(folder["marked"]));
        Assert.Equal(["ä", "ö"], SmallFile.ReadLines(folder["marked"]));
        Assert.Equal(File.ReadAllBytes(folder["marked"]), SmallFile.ReadBytes(folder["marked"]));
        byte[] long1 = [.. Enumerable.Range(0, 300_000).Select(i => (byte)i)];
        File.WriteAllBytes(folder["long"], long1);
        Assert.Equal(long1, SmallFile.ReadBytes(folder["long"]));
        File.WriteAllText(folder["empty"], "");
        Assert.Equal("", SmallFile.ReadText(folder["empty"]));
        Assert.Throws<FileNotFoundException>(() => SmallFile.ReadText(folder["none"]));
    }

    [Fact]
    public void What_is_too_long_or_no_file_is_refused()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["long"], "01234567890");
        Assert.Equal("01234567890", SmallFile.ReadText(folder["long"], 11));
        Assert.Contains("has 11 bytes, expected at most 10", Refused(() => SmallFile.ReadText(folder["long"], 10)));
        Assert.Contains("is a folder, expected a file", Refused(() => SmallFile.ReadText(folder.Path)));
    }

    [Fact]
    public void A_device_without_end_is_refused()
    {
        Assert.SkipUnless(File.Exists("/dev/zero"), "there is no /dev/zero");
        Assert.Contains(
            "/dev/zero has more than 100,000 bytes", Refused(() => SmallFile.ReadText("/dev/zero", 100_000)));
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
    public async Task A_pipe_is_read_while_somebody_writes_and_given_up_when_it_is_silent()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux() || OperatingSystem.IsMacOS(), "this system's pipes are no files");
        using var folder = new TemporaryFolder();
        using (var made = Process.Start("mkfifo", [folder["pipe"], folder["silent"]]))
            await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        string content = string.Concat(Enumerable.Range(0, 50_000).Select(i => $"{i}\n"));
        var writer = Task.Run(() => File.WriteAllText(folder["pipe"], content), TestContext.Current.CancellationToken);
        Assert.Equal(content, SmallFile.ReadText(folder["pipe"]));
        await writer.WaitAsync(TimeSpan.FromMinutes(5), TestContext.Current.CancellationToken);
        Assert.Contains(
            "gave nothing for 0.05 s",
            Refused(() => SmallFile.ReadBytes(folder["silent"], 100, TimeSpan.FromMilliseconds(50))));
        Assert.Contains(
            "gave nothing for 0.05 s",
            Refused(() => SmallFile.OpenPipe(folder["silent"], TimeSpan.FromMilliseconds(50))));
        // ends who waits in vain, and is a writer that writes nothing
        using var opened = new FileStream(folder["silent"], FileMode.Open, FileAccess.ReadWrite);
        Assert.Contains(
            "gave nothing for 0.05 s",
            Refused(() => SmallFile.ReadBytes(folder["silent"], 100, TimeSpan.FromMilliseconds(50))));
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
