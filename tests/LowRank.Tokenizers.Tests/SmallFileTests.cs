using System.Diagnostics;
using System.Text;

namespace LowRank.Tokenizers.Tests;

/// <summary>Files that are read whole have a longest size, and are not waited for without end.</summary>
public sealed class SmallFileTests
{
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

    private static string Refused(Action action) => Assert.Throws<InputException>(action).Message;
}
