using System.Diagnostics;
using LowRank.IO;

namespace LowRank.Tests.IO;

/// <summary>Where outputs go: through links, into devices and pipes, with the old mode, never onto an input.</summary>
public sealed class OutputPathTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Links_are_followed_and_stay()
    {
        if (OperatingSystem.IsWindows()) return;
        File.WriteAllText(folder["there"], "old");
        File.CreateSymbolicLink(folder["link"], "there");
        File.CreateSymbolicLink(folder["second"], folder["link"]);
        File.CreateSymbolicLink(folder["ahead"], "new");
        AtomicFile.Write(folder["second"], "text");
        AtomicFile.Write(folder["ahead"], "made");
        Assert.Equal(("text", "made"), (File.ReadAllText(folder["there"]), File.ReadAllText(folder["new"])));
        Assert.All(new[] { "link", "second", "ahead" }, name => Assert.NotNull(new FileInfo(folder[name]).LinkTarget));
        File.CreateSymbolicLink(folder["round"], folder["circle"]);
        File.CreateSymbolicLink(folder["circle"], folder["round"]);
        Assert.Contains(
            "links lead in a circle",
            Assert.Throws<InputException>(() => AtomicFile.Write(folder["round"], "x")).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_keeps_its_mode_and_a_folder_too()
    {
        if (OperatingSystem.IsWindows()) return;
        const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        File.WriteAllText(folder["secret"], "old");
        File.SetUnixFileMode(folder["secret"], Private);
        AtomicFile.Write(folder["secret"], "new");
        Assert.Equal(("new", Private), (File.ReadAllText(folder["secret"]), File.GetUnixFileMode(folder["secret"])));
        Directory.CreateDirectory(folder["run"]);
        File.SetUnixFileMode(folder["run"], Private | UnixFileMode.UserExecute);
        Directory.CreateSymbolicLink(folder["latest"], "run");
        AtomicFolder.Write(folder["latest"], into => File.WriteAllText(Path.Combine(into, "a"), "b"));
        Assert.Equal(("b", Private | UnixFileMode.UserExecute),
            (File.ReadAllText(folder["run/a"]), File.GetUnixFileMode(folder["run"])));
        Assert.NotNull(new DirectoryInfo(folder["latest"]).LinkTarget);
    }

    [Fact]
    public void A_device_stays_one()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "pipes and devices are files on Linux");
        File.CreateSymbolicLink(folder["null"], "/dev/null");
        AtomicFile.Write(folder["null"], "gone");
        Assert.Equal("/dev/null", new FileInfo(folder["null"]).LinkTarget);
        Assert.False(FileIdentity.From("/dev/null")!.Value.IsPlain);
        File.CreateSymbolicLink(folder["full"], "/dev/full");
        Assert.Throws<IOException>(() => AtomicFile.Write(folder["full"], "too much"));
    }

    [Fact]
    public async Task A_pipe_gets_the_text()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "pipes and devices are files on Linux");
        using (Process made = Process.Start("mkfifo", folder["pipe"]))
            await made.WaitForExitAsync(TestContext.Current.CancellationToken);
        using Process reader =
            Process.Start(
                new ProcessStartInfo(
                    "cat", [folder["pipe"]]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        AtomicFile.Write(folder["pipe"], "through");
        Assert.Equal("through", await reader.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken));
        Assert.False(FileIdentity.From(folder["pipe"])!.Value.IsPlain);
    }

    [Fact]
    public void A_file_in_memory_is_written_as_any()
    {
        if (!Directory.Exists("/dev/shm")) return;
        string path = $"/dev/shm/lowrank-{Guid.NewGuid():N}";
        try
        {
            AtomicFile.Write(path, "a long text");
            AtomicFile.Write(path, "short");
            Assert.Equal("short", File.ReadAllText(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Fact]
    public void An_input_is_refused_by_whatever_name()
    {
        Directory.CreateDirectory(folder["model/inner"]);
        File.WriteAllText(folder["model/inner/weights"], "w");
        File.WriteAllText(folder["data"], "d");
        void Refused(string output, string part, params string?[] inputs) =>
            Assert.Contains(
                part, Assert.Throws<InputException>(() => OutputPath.RefuseInputs("--output", output, inputs)).Message,
                StringComparison.Ordinal);
        Refused(folder["data"], $"--output is {folder["data"]}, which is a file that is read", null, folder["other"],
            folder["data"]);
        Refused(folder["model/inner/weights"], "which is the same as", folder["model/../model"]);
        Refused(folder["model"], "folder that is read", folder["model"]);
        OutputPath.RefuseInputs("--output", folder["new"], [folder["data"], folder["model"]]);
        OutputPath.RefuseInputs("--output", folder["data"], [folder["model"]]);
        Assert.SkipUnless(OperatingSystem.IsLinux(), "pipes and devices are files on Linux");
        File.CreateSymbolicLink(folder["soft"], folder["data"]);
        using (Process linked = Process.Start("ln", [folder["model/inner/weights"], folder["hard"]]))
            linked.WaitForExit();
        Refused(folder["soft"], "the same as", folder["data"]);
        Refused(folder["hard"], "the same as", folder["model"]);
        OutputPath.RefuseInputs("--output", "/dev/null", ["/dev/null"]); // nothing is lost there
    }

    [Fact]
    public void A_folder_is_no_file_to_write() =>
        Assert.Contains(
            "is a folder; expected a file",
            Assert.Throws<InputException>(() => AtomicFile.Write(folder["."], "x")).Message, StringComparison.Ordinal);
}
