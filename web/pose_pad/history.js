// Undo and redo: whole values as texts, the oldest forgotten first.
const MOST = 200;

export class History {
    constructor(text) {
        this.texts = [text];
        this.at = 0;
    }

    push(text) {
        if (text === this.texts[this.at]) return;
        this.texts = [...this.texts.slice(0, this.at + 1), text].slice(-MOST);
        this.at = this.texts.length - 1;
    }

    undo() {
        return this.at > 0 ? this.texts[--this.at] : null;
    }

    redo() {
        return this.at < this.texts.length - 1 ? this.texts[++this.at] : null;
    }
}
