using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace LowRank.EndToEndTests;

/// <summary><c>lowrank serve</c> as a process of its own.</summary>
public sealed partial class ServeCommandTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task READMEs_third_command_and_its_call_work_as_written()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/curl"), "needs curl");
        using var folder = new TemporaryFolder();
        string[] shortened = ["training.epochs=", "training.steps=2", "training.batch_size=2", "comparison.facts=2",
            "comparison.generations=1", "comparison.max_new_tokens=2", $"output={folder["run"]}"];
        CommandLine.Run(["train", "recipes/quickstart.yaml",
            .. shortened.SelectMany(setting => new[] { "--set", setting })]).Succeeded();
        Match shown = Shown().Match(RepositoryFiles.Read("README.md"));
        Assert.True(shown.Success);
        int port = FreePort();
        string[] serve = [.. shown.Groups["serve"].Value.Split(' ').Select(part => part.Replace(
            "runs/quickstart/adapter", folder["run/adapter"], StringComparison.Ordinal)), "--port", $"{port}"];
        string call = shown.Groups["curl"].Value.Replace(":8080", $":{port}", StringComparison.Ordinal);
        using var server = new Served(CommandLine.Start(CommandLine.Repository, serve));
        await server.Until("Ready.");
        CommandResult answer = CommandLine.RunOther("/bin/sh", "-c", call + " --silent --show-error").Succeeded();
        JsonElement json = JsonDocument.Parse(answer.Output).RootElement;
        Assert.Equal("hotels", json.GetProperty("model").GetString());
        Assert.NotEqual("", json.GetProperty("choices")[0].GetProperty("text").GetString());

        // The call that the command itself shows works, too.
        Match told = Told().Match(server.Output);
        Assert.True(told.Success, server.Output);
        JsonElement own = JsonDocument.Parse(CommandLine.RunOther(
            "/bin/sh", "-c", told.Value + " --silent --show-error").Succeeded().Output).RootElement;
        Assert.Equal("hotels", own.GetProperty("model").GetString());
    }

    [Fact]
    public async Task Asked_to_end_it_finishes_what_runs_and_its_log_is_JSON_without_prompts()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "there is no such signal");
        using TinyModel model = new();
        string config = Path.Combine(model.Folder, "config.json"), text = File.ReadAllText(config);
        File.WriteAllText(config, text.Replace(
            "\"max_position_embeddings\": 64", "\"max_position_embeddings\": 4096", StringComparison.Ordinal));
        File.WriteAllText(model["keys"], "# keys\nsk-first\nsk-second\n");
        int port = FreePort();
        using var server = new Served(CommandLine.Start(CommandLine.Repository, "serve", "--model", model.Folder,
            "--adapter", $"golden={Path.Combine(TinyModel.Golden, "lora")}", "--port", $"{port}", "--api-key-file",
            model["keys"]));
        await server.Until("Ready.");
        using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        Assert.Equal(HttpStatusCode.Unauthorized,
            (await http.GetAsync(new Uri("/v1/models", UriKind.Relative), Cancellation)).StatusCode);
        http.DefaultRequestHeaders.Authorization = new("Bearer", "sk-second");
        const string Secret = "unlikely-words";
        using var content = new StringContent(JsonSerializer.Serialize(new
        {
            model = "golden", prompt = Secret, max_tokens = 1500, ignore_eos = true, temperature = 0,
        }), Encoding.UTF8, "application/json");
        Task<HttpResponseMessage> running = http.PostAsync("/v1/completions", content, Cancellation);
        while (!running.IsCompleted && !(await http.GetStringAsync("/metrics", Cancellation))
            .Contains("lowrank_requests_running{model_name=\"model\"} 1", StringComparison.Ordinal))
            await Task.Delay(5, Cancellation);
        using (Process kill = Process.Start("kill", ["-TERM", $"{server.Process.Id}"])) { }
        JsonElement answer =
            JsonDocument.Parse(await (await running).Content.ReadAsStringAsync(Cancellation)).RootElement;
        Assert.Equal(1500, answer.GetProperty("usage").GetProperty("completion_tokens").GetInt32());
        await server.Process.WaitForExitAsync(Cancellation);
        Assert.Equal(0, server.Process.ExitCode);
        string[] lines = [.. server.Error.Split('\n').Where(line => line.StartsWith('{'))];
        Assert.Contains(lines, line => JsonDocument.Parse(line).RootElement is var entry
            && entry.GetProperty("event").GetInt32() == 102 && entry.GetProperty("new_tokens").GetInt64() == 1500
            && entry.GetProperty("model").GetString() == "golden");
        Assert.DoesNotContain(Secret, server.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("sk-", server.Error + server.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void What_cannot_be_served_is_said_and_the_command_ends()
    {
        using var folder = new TemporaryFolder();
        CommandResult result = CommandLine.Run("serve", "--model", folder.Path, "--port", "0");
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("error: ", result.Error, StringComparison.Ordinal);
        Assert.Contains("config.json", result.Error, StringComparison.Ordinal);
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    [GeneratedRegex(@"^    lowrank (?<serve>serve .+)\n    (?<curl>curl (.+\\\n.+|.+))$",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture)]
    private static partial Regex Shown();

    [GeneratedRegex(@"curl \S+v1/completions [^\\]+\\\n.+")]
    private static partial Regex Told();

    /// <summary>A server's process, ended with the test, and what it says.</summary>
    private sealed class Served : IDisposable
    {
        private readonly StringBuilder output = new(), error = new();

        public Served(Process process)
        {
            Process = process;
            process.OutputDataReceived += (_, line) => Append(output, line.Data);
            process.ErrorDataReceived += (_, line) => Append(error, line.Data);
            process.BeginOutputReadLine();
            process.BeginErrorReadLine();
        }

        public Process Process { get; }

        public string Output => Text(output);

        public string Error => Text(error);

        public async Task Until(string said)
        {
            for (long started = Stopwatch.GetTimestamp(); !Output.Contains(said, StringComparison.Ordinal);
                await Task.Delay(20, Cancellation))
                Assert.True(!Process.HasExited && Stopwatch.GetElapsedTime(started) < CommandLine.Longest,
                    Output + Error);
        }

        public void Dispose()
        {
            if (!Process.HasExited) Process.Kill(entireProcessTree: true);
            Process.Dispose();
        }

        private static void Append(StringBuilder to, string? line)
        {
            lock (to) to.Append(line).Append('\n');
        }

        private static string Text(StringBuilder from)
        {
            lock (from) return from.ToString();
        }
    }
}
