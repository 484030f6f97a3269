namespace LowRank.Tokenization.Templates;

/// <summary>Chat templates for models that bring none.</summary>
public static class ChatTemplates
{
    private const string ChatMlSource = """
        {%- for message in messages -%}
            {{- '<|im_start|>' + message['role'] + '\n' -}}
            {%- if message['role'] == 'assistant' -%}
                {%- generation -%}
                    {{- message['content'] + '<|im_end|>' -}}
                {%- endgeneration -%}
                {{- '\n' -}}
            {%- else -%}
                {{- message['content'] + '<|im_end|>\n' -}}
            {%- endif -%}
        {%- endfor -%}
        {%- if add_generation_prompt -%}
            {{- '<|im_start|>assistant\n' -}}
        {%- endif -%}
        """;

    /// <summary>
    /// ChatML: every message is <c>&lt;|im_start|&gt;role\ncontent&lt;|im_end|&gt;\n</c>, and where
    /// <c>add_generation_prompt</c> is true <c>&lt;|im_start|&gt;assistant\n</c> follows. What the assistant said is marked
    /// together with its <c>&lt;|im_end|&gt;</c>, so that a model trained on it learns to stop.
    /// </summary>
    public static ChatTemplate ChatMl { get; } = ChatTemplate.Parse(ChatMlSource);
}
