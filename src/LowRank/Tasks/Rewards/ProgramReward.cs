using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tasks.Rewards;

/// <summary>A program that judges: it reads a line of JSON for each completion, <c>{"prompt", "completion", "row"}</c>,
/// and writes a line with a number. It is started once and stays open; it ends when its input does.</summary>
internal sealed class ProgramReward : IRewardSource
{
    private const int KeptLines = 5;
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(5);
    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly string command;
    private readonly Process process;
    private readonly Queue<string> said = new(); // the last lines of its standard error

    /// <summary>Starts the program.</summary>
    /// <param name="command">A command line for the system's shell.</param>
    /// <exception cref="InputException">It cannot be started.</exception>
    public ProgramReward(string command)
    {
        this.command = command;
        bool isWindows = OperatingSystem.IsWindows();
        var start = new ProcessStartInfo(isWindows ? "cmd" : "/bin/sh", [isWindows ? "/c" : "-c", command])
        {
            UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true,
                RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(false), StandardOutputEncoding = Encoding.UTF8,
        };
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw new InputException($"The reward program {command} cannot be started: {e.Message}");
        }
        process.ErrorDataReceived += (_, line) => Keep(line.Data);
        process.BeginErrorReadLine();
    }

    /// <inheritdoc/>
    public string Name => "program";

    /// <inheritdoc/>
    public IReadOnlyList<double> Rewards(IReadOnlyList<RewardedText> texts) => [.. texts.Select(Reward)];

    /// <inheritdoc/>
    public void Dispose()
    {
        try
        {
            process.StandardInput.Close();
            if (!process.WaitForExit(TimeSpan.FromSeconds(5))) process.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            Debug.Assert(process.HasExited, "only a program that has ended has no input to close");
        }
        process.Dispose();
    }

    private double Reward(RewardedText text)
    {
        var line = new JsonObject
        {
            ["prompt"] = text.Prompt, ["completion"] = text.Completion, ["row"] = text.Row.DeepClone(),
        };
        string? answer;
        try
        {
            process.StandardInput.Write(line.ToJsonString(Readable) + "\n");
            process.StandardInput.Flush();
            Task<string?> reading = process.StandardOutput.ReadLineAsync();
            if (!reading.Wait(Longest))
                throw new InputException(
                    $"The reward program {command} has given no number for {Longest.TotalMinutes} minutes. It reads " +
                    "a line and must write a line at once: flush its output after each.");
            answer = reading.Result;
        }
        catch (IOException)
        {
            answer = null; // it has ended
        }
        if (answer is null) throw new InputException($"The reward program {command} ended{Ending()}.");
        return double.TryParse(answer.Trim(), NumberStyles.Float, CultureInfo.InvariantCulture, out double reward)
            && double.IsFinite(reward) ? reward
            : throw new InputException(
                $"The reward program {command} wrote \"{WeightedRewards.Shortened(answer)}\", expected a line with a " +
                "number.");
    }

    private string Ending()
    {
        string code = process.WaitForExit(TimeSpan.FromSeconds(5)) ? $" with exit code {process.ExitCode}" : "";
        process.WaitForExit(TimeSpan.FromSeconds(1)); // so that its last words are read
        lock (said) return said.Count == 0 ? code : $"{code} and said: {string.Join(" / ", said)}";
    }

    private void Keep(string? line)
    {
        if (line is null) return;
        lock (said)
        {
            said.Enqueue(line);
            if (said.Count > KeptLines) said.Dequeue();
        }
    }
}
